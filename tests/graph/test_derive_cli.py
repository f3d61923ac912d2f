"""`chainrule derive FILE:FUNCTION`, as one uses it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from chainrule.cli.derive import command

MODEL = """
import numpy as np
import chainrule as cr

X = np.arange(12.0).reshape(4, 3) / 10
Y = np.ones((4, 1))
W = np.full((3, 1), 0.5)

def loss(W):
    D = X @ W - Y
    return (D ** 2).mean()

def step(W):
    dW = cr.grad(loss)(W)
    return W - 0.1 * dW

def misfit(W):
    D = X.T @ W
    return D.sum()

def branch(x):
    return x if x > 0 else -x

def parabola(x):
    return x ** 2 + 4 * x
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def derive(*words: str) -> Result:
    return CliRunner().invoke(command, list(words))


def test_the_source_is_printed(model: Path) -> None:
    done = derive(f"{model}:loss", "--args", "W")
    assert done.exit_code == 0, done.output
    assert "def loss_and_gradient(W, *, X, Y):" in done.output
    assert "(model.py, line 9)" in done.output
    assert derive(f"{model}:loss").output == done.output  # W has its value in the file


def test_a_step_and_the_second_order(model: Path) -> None:
    assert "    # update\n    new_W = W - 0.1 * dW" in derive(f"{model}:step", "--args", "W").output
    done = derive(f"{model}:parabola", "--args", "3.0", "--order", "2")
    assert "d2_x = 2.0" in done.output
    assert "value = x ** 2 + 4 * x" in done.output
    assert "d_x" not in derive(f"{model}:parabola", "--args", "3.0", "--argnums", "none").output


def test_formulas_are_printed_and_saved(model: Path, tmp_path: Path) -> None:
    done = derive(f"{model}:parabola", "--args", "3.0", "--latex")
    assert "\\frac" in done.output or "\\partial" in done.output or "\\bar" in done.output
    path = tmp_path / "parabola.tex"
    assert derive(f"{model}:parabola", "--args", "3.0", "--latex", "--save", str(path)).exit_code == 0
    assert path.read_text().strip() == done.output.strip()


def test_what_is_saved_runs_alone(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "derived.py"
    done = derive(f"{model}:loss", "--args", "W", "--save", str(path))
    assert done.output == f"wrote {path}\n"
    scope: dict[str, object] = {}
    exec(path.read_text(), scope)
    X, Y, W = np.arange(12.0).reshape(4, 3) / 10, np.ones((4, 1)), np.full((3, 1), 0.5)
    value, gradient = scope["loss_and_gradient"](W, X=X, Y=Y)  # type: ignore[operator]
    assert value == pytest.approx(((X @ W - Y) ** 2).mean())
    np.testing.assert_allclose(gradient, X.T @ (X @ W - Y) / 2)
    refused = derive(f"{model}:loss", "--args", "W", "--save", str(path))
    assert refused.exit_code != 0
    assert "exists already" in str(refused.exception)
    assert derive(f"{model}:parabola", "--args", "3.0", "--save", str(path), "--force").exit_code == 0
    assert "parabola" in path.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{}:branch", "--args", "2.0"], r"a branch depends on its value"),
        (["{}:misfit", "--args", "W"], "x has 4 columns (its last axis), but y has 3 rows"),
        (["{}:misfit", "--args", "W"], "model.py, line 18: D = X.T @ W"),
        (["{}:loss", "--args", "W", "--argnums", "x"], r"--argnums 'x': give the numbers"),
        (["{}:loss", "--args", "W", "--argnums", "3"], r"argument 3, but was given 1"),
        (["{}:parabola", "--args", "3"], r"no floating-point numbers"),
        (["{}:nothing", "--args", "3"], r"nothing"),
        (["{}", "--args", "3"], r"give a file and a function"),
    ],
)
def test_what_is_refused_says_why(model: Path, words: list[str], said: str) -> None:
    done = derive(*[word.format(model) for word in words])
    assert done.exit_code != 0
    assert said in str(done.exception)
