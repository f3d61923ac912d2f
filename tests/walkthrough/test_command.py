"""`chainrule explain`, and how FILE:FUNCTION and --args are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.cli.explain import command
from chainrule.cli.functions import load_call, user_errors
from chainrule.errors import ChainruleError, OptionError, ProgramError

MODEL = """\
from dataclasses import dataclass

import numpy as np

X = np.array([[1.0, 2.0], [3.0, 4.0]])
W = np.array([0.5, -0.25])
b = 0.5
parameters = (W, b)
listed = [W, b]


@dataclass
class Model:
    W: object

    def loss(self, b):
        return np.sum((X @ self.W + b) ** 2)


model = Model(W)


def loss(W, b):
    h = np.tanh(X @ W + b)
    return np.sum(h**2)


def of_tree(parameters, factor=2.0):
    return factor * np.sum((X @ parameters[0] + parameters[1]) ** 2)


def needs(W, q, r):
    return W * q * r


def fails(W):
    return np.sum(W) + 1 / 0


if __name__ == "__main__":
    raise SystemExit("run as a program")
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def refusal(*arguments: object) -> str:
    with pytest.raises(ChainruleError) as caught:
        run(*arguments)
    return str(caught.value)


# the function and its arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "args", "count"),
    [
        ("loss", None, 2), ("loss", "W, b", 2), ("loss", "parameters", 2), ("loss", "listed", 2),
        ("loss", "np.ones(2), 0.1", 2), ("of_tree", None, 1), ("of_tree", "parameters", 1), ("of_tree", "listed", 1),
        ("model.loss", "0.5", 1), ("model.loss", None, 1), ("model.loss", "(0.5,)", 1),
    ],
)  # fmt: skip
def test_a_function_and_its_arguments_are_found(
    model: Path, function: str, args: str | None, count: int
) -> None:
    called, given = load_call(f"{model}:{function}", args)
    assert len(given) == count
    assert np.isfinite(called(*given))


@pytest.mark.parametrize(
    ("function", "args", "message"),
    [
        ("los", None, "has no function 'los' (did you mean loss or fails?); it has Model, loss, "),
        ("model.los", "1.0", "model has no 'los' (did you mean loss?)"),
        ("X", None, "'X' in "),
        ("needs", None, "needs(W, q, r) needs q, r, and "),
        ("loss", "W", "loss(W, b) takes 2 arguments, and --args 'W' gives 1"),
        ("loss", "W, b, b", "loss(W, b) takes 2 arguments, and --args 'W, b, b' gives 3"),
        ("loss", "W, c", "--args 'W, c': the file has no 'c'"),
        ("loss", "Ws, b", "the file has no 'Ws' (did you mean W?)"),
        ("loss", "W, (", "is no expression of Python: '(' was never closed at column 4"),
        ("loss", "W, 1 / 0", "--args 'W, 1 / 0': ZeroDivisionError: division by zero"),
    ],
)
def test_what_does_not_fit_is_refused(model: Path, function: str, args: str | None, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        load_call(f"{model}:{function}", args)
    assert message in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ProgramError, match="there is no file"):
        load_call(f"{tmp_path}/absent.py:f", None)
    with pytest.raises(OptionError, match="give a file and a function in it"):
        load_call(str(model), None)
    with pytest.raises(OptionError, match="is no Python file"):
        load_call(f"{tmp_path}/notes.txt:f", None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "def f(x:\n    return x\n",
            "broken.py: SyntaxError: '(' was never closed\n  at broken.py, line 1: def f(x:",
        ),
        (
            "a = 1\nb = [][a]\n",
            "broken.py: IndexError: list index out of range\n  at broken.py, line 2: b = [][a]",
        ),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3\n  at broken.py, line 2: sys.exit(3)"),
        ("import not_there\n", "pip install not_there"),
    ],
)
def test_an_exception_of_the_file_is_told_by_its_line(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(ProgramError) as caught:
        load_call(f"{path}:f", None)
    assert message in str(caught.value)


def test_only_exceptions_of_the_user_are_retold(model: Path) -> None:
    with pytest.raises(ProgramError, match="model.py: ValueError: mine"), user_errors(f"{model}:loss"):
        raise ValueError("mine")
    with pytest.raises(OptionError, match="ours"), user_errors(f"{model}:loss"):
        raise OptionError("ours")


# the command -----------------------------------------------------------------------------------------------


def test_the_account_is_printed(model: Path) -> None:
    output = run(f"{model}:loss")
    assert output.startswith("loss(W, b)    model.py\n")
    assert "line 24: h = np.tanh(X @ W + b)" in output
    assert "d_W = " in output
    assert "\x1b" not in output


def test_one_step_one_variable_and_some_arguments(model: Path) -> None:
    assert run(f"{model}:loss", "--step", 3).startswith("step 3, forward\n")
    about = run(f"{model}:loss", "--about", "h")
    assert "d_h = " in about
    assert "d_W = " not in about
    assert "d_b = " not in run(f"{model}:loss", "--argnums", "0")


def test_the_other_formats(model: Path) -> None:
    assert run(f"{model}:loss", "--format", "markdown").startswith("#### loss(W, b)")
    assert run(f"{model}:loss", "--format", "markdown", "--step", 3).startswith("**Step 3**")
    assert run(f"{model}:loss", "--format", "latex").startswith(r"\begin{align*}")
    assert r"\tanh" in run(f"{model}:loss", "--format", "latex", "--step", 3)
    assert run(f"{model}:loss", "--format", "dot").startswith("digraph")
    assert run(f"{model}:loss", "--format", "mermaid").startswith("flowchart")


def test_the_picture_is_written_whole_or_not_at_all(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.svg"
    run(f"{model}:loss", "--picture", path)
    assert path.read_text(encoding="utf-8").startswith("<svg")
    path.write_text("mine", encoding="utf-8")
    assert "exists already; give another name, or force" in refusal(f"{model}:loss", "--picture", path)
    assert path.read_text(encoding="utf-8") == "mine"
    run(f"{model}:loss", "--picture", path, "--force")
    assert path.read_text(encoding="utf-8").startswith("<svg")
    assert "cannot be written" in refusal(f"{model}:loss", "--picture", tmp_path / "absent" / "out.svg")
    assert "ends in .svg" in refusal(f"{model}:loss", "--picture", tmp_path / "out.png")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--step", "3", "--about", "h"), "--step and --about cannot be given together"),
        (("--step", "77"), "and no step 77"),
        (("--about", "g"), "has no 'g'"),
        (("--argnums", "first"), "--argnums 'first': give the numbers of arguments"),
        (("--argnums", "5"), "by argument 5, but was given 2"),
        (("--step", "1", "--format", "dot"), "draws the whole graph; leave --step out"),
    ],
)
def test_options_that_do_not_fit_are_refused(model: Path, arguments: Any, message: str) -> None:
    assert message in refusal(f"{model}:loss", *arguments)


def test_an_exception_in_the_function_is_told_by_its_line(model: Path) -> None:
    message = refusal(f"{model}:fails")
    assert message.startswith("model.py: ZeroDivisionError: division by zero\n  at model.py, line 37:")
