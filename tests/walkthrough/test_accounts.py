"""The accounts that people read: whole. `ACCOUNTS_WRITE=1` renews the files."""

import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph.networks import NETWORKS
from rich.console import Console
from walkthrough.replaying import replay

from chainrule.errors import InputError, UnsupportedError
from chainrule.walkthrough import Walkthrough, explain

ACCOUNTS = Path(__file__).parent / "accounts"
X = np.array([[0.0, 1.0], [1.0, 0.5]])
Y = np.array([[1.0], [0.0]])


def parabola(x: Any) -> Any:
    return x**2 + 4 * x


def loss(W1: Any, W2: Any) -> Any:
    """A 2-2-1 network."""
    H = 1 / (1 + np.exp(-(X @ W1)))
    Yhat = 1 / (1 + np.exp(-(H @ W2)))
    return np.sum((Yhat - Y) ** 2) / 2


def weights() -> tuple[Any, Any]:
    return np.array([[0.5, -0.5], [1.0, 0.25]]), np.array([[1.5], [-1.0]])


def two_paths(x: Any) -> Any:
    h = np.tanh(x)
    return np.sum(h * h + np.exp(h))


GOLDEN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "parabola": (parabola, (3.0,)),
    "sigmoid_2_2_1": (loss, weights()),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_account_is_as_it_was_read(name: str) -> None:
    f, args = GOLDEN[name]
    walkthrough = explain(f, *args)
    replay(walkthrough)
    text = re.sub(r"line \d+:", "line:", str(walkthrough)) + "\n"
    path = ACCOUNTS / f"{name}.txt"
    if os.environ.get("ACCOUNTS_WRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_where_paths_meet_the_sum_is_a_step_of_its_own() -> None:
    walkthrough = explain(two_paths, np.array([0.5, -1.0]))
    (total,) = [step for step in walkthrough if step.parts]
    assert total.name == "d_h"
    assert total.of == "h"
    assert len(total.parts) == 3  # h * h uses it twice
    assert total.formula == " + ".join(total.parts)
    np.testing.assert_allclose(total.value, sum(total.inputs[part] for part in total.parts), rtol=1e-15)
    assert {step.name for step in walkthrough if step.of == "h"} == {*total.parts, "d_h"}


def test_a_step_says_what_it_is_made_of() -> None:
    walkthrough = explain(loss, *weights())
    (step,) = [step for step in walkthrough if step.name == "d_Z1"]
    assert (step.side, step.of, step.shape, step.dtype) == ("backward", "Z1", (2, 2), np.float64)
    assert step.formula == "d_H * H * (1 - H)"
    assert list(step.inputs) == ["d_H", "H"]
    assert step.through == "H = sigmoid(Z1)"
    assert step.place is not None
    assert step.place.text == "H = 1 / (1 + np.exp(-(X @ W1)))"
    assert Path(step.place.file) == Path(__file__)
    assert walkthrough.step(step.number) is step
    shown = str(step)
    assert shown.startswith(f"step {step.number}, backward through H = sigmoid(Z1)\n")
    assert "H     = [[0.731059 0.562177]" in shown
    assert step.latex.endswith(r"\odot H \odot (1 - H)")


def test_about_keeps_the_steps_of_one_variable() -> None:
    walkthrough = explain(loss, *weights())
    about = walkthrough.about("W2")
    assert isinstance(about, Walkthrough)
    assert [step.name for step in about] == ["Z2", "d_H", "d_W2"]
    assert list(about.given) == ["W2"]
    assert [step.number for step in about.about("d_W2")] == [step.number for step in about]
    assert walkthrough.about("X").given.keys() == {"X", "W1"}


def test_what_is_not_there_is_refused_by_name() -> None:
    walkthrough = explain(loss, *weights())
    with pytest.raises(InputError, match=r"no 'Yhat2' \(did you mean Yhat\?\)"):
        walkthrough.about("Yhat2")
    with pytest.raises(InputError, match=r"the steps 1 to \d+, and no step 99"):
        walkthrough.step(99)
    with pytest.raises(InputError, match="explains a function or a Tensor with a history, not float"):
        explain(3.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="loss is to be derived by argument 2, but was given 2"):
        explain(loss, *weights(), argnums=2)
    with pytest.raises(InputError, match="argument 1, which has no floating-point numbers"):
        explain(lambda x, n: x * n, 1.0, np.arange(3), argnums=1)
    with pytest.raises(UnsupportedError, match="a branch depends on its value"):
        explain(lambda x: x if x > 0 else -x, 1.0)


def test_argnums_chooses_the_gradients() -> None:
    values = explain(loss, *weights(), argnums=1).values
    assert "d_W2" in values
    assert "d_W1" not in values


@pytest.mark.parametrize(
    ("f", "args", "note"),
    [
        (lambda x: x * 2, (np.ones(3),), r"the value has the shape \(3,\), so only the forward pass"),
        (lambda x: (x, x * 2), (1.0,), "returns 2 arrays, so only its forward pass"),
        (lambda x: x * 2, (3,), "write 3.0 for 3"),
        (lambda: 3.0, (), "was given no floating-point numbers"),
    ],
)
def test_without_a_gradient_the_forward_pass_is_explained(f: Any, args: Any, note: str) -> None:
    walkthrough = explain(f, *args)
    replay(walkthrough)
    assert all(step.side == "forward" for step in walkthrough)
    assert re.search(note, str(walkthrough))


def test_the_value_that_is_an_argument_has_the_gradient_1() -> None:
    walkthrough = explain(lambda x: x, 2.0)
    replay(walkthrough)
    assert "d_x" not in walkthrough.values or walkthrough.values["d_x"] == 1


def test_numbers_are_never_rounded_to_what_they_are_not() -> None:
    shown = str(
        explain(lambda x: np.sum(x * np.array([1e-12, 1.0, 1e9])), np.array([1.0, 0.99999999, 1 / 3]))
    )
    assert "1e-12" in shown
    assert "0.99999999" in shown
    assert "0.333333" in shown
    assert "3.33333e+08" in shown


@pytest.mark.parametrize("name", NETWORKS)
def test_every_view_shows_every_step(name: str) -> None:
    f, args = NETWORKS[name]
    walkthrough = explain(f, *args)
    text, markdown, latex = str(walkthrough), walkthrough._repr_markdown_(), walkthrough._repr_latex_()
    for step in walkthrough:
        assert step.text in text
        assert rf"\tag{{{step.number}}}" in markdown
        assert rf"\tag{{{step.number}}}" in latex
        assert step.latex in markdown
        assert len(str(step).splitlines()) >= 2
        assert step._repr_markdown_().startswith(f"**Step {step.number}**")
    assert latex.startswith(r"\begin{align*}")
    assert markdown.count("$$") % 2 == 0
    assert markdown.count("```") % 2 == 0


def test_the_picture_has_names_values_and_cotangents() -> None:
    walkthrough = explain(parabola, 3.0)
    root = ElementTree.fromstring(walkthrough.picture())
    assert root.tag.endswith("svg")
    drawn = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    for part in ("x", "= 3", "S", "= 9", "value", "= 21", "d_x", "= 10"):
        assert part in drawn
    assert "= 10" in walkthrough.dot().replace("\N{NO-BREAK SPACE}", " ")
    assert walkthrough.dot().startswith("digraph")
    assert walkthrough.mermaid().startswith("flowchart")
    assert ElementTree.fromstring(walkthrough.picture("right")).tag.endswith("svg")


def test_the_terminal_shows_the_same_lines_in_colours() -> None:
    walkthrough = explain(loss, *weights())
    stream = io.StringIO()
    walkthrough.show(Console(file=stream, force_terminal=True, width=40))
    shown = stream.getvalue()
    assert "\x1b[" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines() == str(walkthrough).splitlines()
    stream = io.StringIO()
    walkthrough.step(3).show(Console(file=stream, width=40))
    assert stream.getvalue().splitlines() == str(walkthrough.step(3)).splitlines()


def test_rich_is_loaded_only_to_show_colours() -> None:
    script = (
        "import sys; from chainrule.walkthrough import explain; w = explain(lambda x: x * 2.0, 1.0); str(w); "
        "w.markdown(); print('rich' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_long_function_is_explained_in_time() -> None:
    def long(x: Any) -> Any:
        for _ in range(300):
            x = np.sin(x) * 0.9 + x / 3
        return x.sum()

    walkthrough = explain(long, np.ones(4))
    replay(walkthrough)
    assert len(walkthrough) > 2000


def test_what_has_no_influence_is_noted() -> None:
    walkthrough = explain(lambda W, unused: np.sum(W**2), np.ones(2), 3.0)
    assert walkthrough.notes == ("the value does not depend on unused, whose gradient is 0",)
    assert walkthrough.gradients.keys() == {"W"}


def test_a_name_that_begins_like_a_cotangent_is_found() -> None:
    def f(d_model: Any, x: Any) -> Any:
        d_out = d_model * x
        return np.sum(d_out**2)

    walkthrough = explain(f, np.ones(2), 3.0)
    replay(walkthrough)
    assert "P" not in walkthrough.values
    assert walkthrough.about("d_out").steps[0].name == "d_out"
    assert list(walkthrough.about("d_model").given) == ["d_model", "x"]


def test_a_sum_of_many_cotangents_is_broken_into_lines() -> None:
    def f(w: Any) -> Any:
        h = w
        for _ in range(20):
            h = np.tanh(w * h)
        return h.sum()

    walkthrough = explain(f, np.array([0.9]))
    replay(walkthrough)
    assert len(walkthrough.step(len(walkthrough)).parts) == 21
    assert max(len(line) for line in str(walkthrough).splitlines()) < 130
