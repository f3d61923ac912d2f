"""Formulas: read by eye as listings, parsed by another program, for every primitive; the chain rule written out."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import PRIMITIVES, Case
from graph.networks import NETWORKS
from graph.reading import computed, key, lines
from graph.test_derive_cases import ROWS, weighed
from matplotlib.mathtext import MathTextParser

import chainrule as cr
from chainrule.graph import symbols as graph_symbols
from chainrule.graph import textbook
from chainrule.graph.emit.chain_rule import _Writing, derivation
from chainrule.graph.emit.flow import forward_part
from chainrule.graph.emit.formula import number
from chainrule.graph.emit.latex import Latex, equation, expression, symbols
from chainrule.graph.emit.notation import symbol
from chainrule.graph.ir import Graph, Variable, all_names
from chainrule.primitives import Primitive

LISTINGS = Path(__file__).parent / "latex"
LISTED = ("parabola", "log_loss", "sigmoid_4_2_3", "softmax_cross_entropy", "recurrent")
PARSER = MathTextParser("path")


def parse(formula: str) -> None:
    """Matplotlib knows no environments: the branches of a case are parsed one by one."""
    formula = re.sub(r"\\(begin|end)\{\w+\*?\}", " ", formula).replace(r"\text", r"\mathrm")
    for part in re.split(r"\\\\(?:\[1\.5ex\])?|&+|\n", formula):
        if part.strip():
            PARSER.parse(f"${part.strip()}$")


def derived(name: str) -> str:
    f, args = NETWORKS[name]
    return derivation(cr.derive(f, *args).graph)


# listings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LISTED)
def test_the_listing_is_as_it_was_read(name: str) -> None:
    found, path = derived(name) + "\n", LISTINGS / f"{name}.tex"
    if os.environ.get("LISTINGS_WRITE"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_line_is_valid(name: str) -> None:
    found = derived(name)
    assert found.startswith("\\begin{align*}\n") and found.endswith("\n\\end{align*}")
    assert "operatorname{squared" not in found and "operatorname{standard" not in found
    parse(found)


def test_the_parser_refuses_what_is_no_formula() -> None:
    for wrong in (r"\frac{1", r"a_1_2", r"\nosuchthing{x}"):
        with pytest.raises(ValueError, match="Expected|Unknown|Double|expected"):
            parse(wrong)


# every primitive ---------------------------------------------------------------------------------------------


def graph_of(case: Case) -> Graph:
    arrays = [np.asarray(a, float) for a in case.drawn()]
    return cr.trace(lambda *args: weighed(case(*args)), *arrays)


@pytest.mark.parametrize("case", ROWS, ids=repr)
def test_every_case_is_a_formula_of_arrays_and_of_elements(case: Case) -> None:
    graph = graph_of(case)
    named = symbols(graph, all_names(graph))
    writer = Latex(named, {v: e for e in graph.equations for v in e.outputs})
    for made in graph.equations:
        formulas = [equation(made, named)]
        assert formulas[0].endswith(expression(made, named))
        if len(made.outputs) == 1:
            shape = made.output.shape
            letters = tuple("" if n == 1 else c for c, n in zip("ijklmnop", shape, strict=False))
            row = tuple(c and (c if c == "i" else ":") for c in letters)
            formulas += [writer.expression(made, index).text for index in (letters, row)]
        for formula in formulas:
            assert formula.count("{") == formula.count("}")
            parse(formula)


KNOWN = PRIMITIVES | {
    p.name: p for m in (textbook, graph_symbols) for p in vars(m).values() if isinstance(p, Primitive)
}


@pytest.mark.parametrize("name", [*Latex.writers, *Latex.templates, *Latex.called_so])
def test_what_has_a_formula_is_a_primitive(name: str) -> None:
    assert name in KNOWN
    inputs = re.findall(r"<(\w+)", Latex.templates[name][0]) if name in Latex.templates else []
    assert set(inputs) <= set(KNOWN[name].inputs)


@pytest.mark.parametrize("name", sorted(n for n in PRIMITIVES if n.startswith("bitwise")))
def test_primitives_of_integers_are_called_by_name(name: str) -> None:
    arguments = [np.arange(3)] * len(PRIMITIVES[name].inputs)
    graph = cr.trace(lambda *args: PRIMITIVES[name](*args), *arguments)
    written = equation(graph.equations[-1], symbols(graph, all_names(graph)))
    assert name.replace("_", r"\_") in written
    parse(written)


# one formula after another -------------------------------------------------------------------------------------

a, b, c, s = (np.full((2, 3), x) for x in (1.5, 2.5, 3.5, 4.5))
A, B, v, w = np.ones((3, 4)), np.ones((4, 3)), np.ones(4), np.ones(3)


@pytest.mark.parametrize(
    ("f", "args", "written"),
    [
        (lambda a, b, c: (a + b) * c, (a, b, c), r"(a + b) \odot c"),
        (lambda a, b, c: a - (b - c), (a, b, c), "a - (b - c)"),
        (lambda a, b, c: a - b - c, (a, b, c), "a - b - c"),
        (lambda a, b: -(a + b), (a, b), "-(a + b)"),
        (lambda a, b: a + -b, (a, b), "a - b"),
        (lambda a, b: a - -b, (a, b), "a + b"),
        (lambda a, b: -a * b, (a, b), r"-a \odot b"),
        (lambda a, b: (a * b) ** 2, (a, b), r"(a \odot b)^{\odot 2}"),
        (lambda a, b: (a / b) ** 2, (a, b), r"\left(\frac{a}{b}\right)^{\odot 2}"),
        (lambda x: x**2, (3.0,), "x^2"),
        (lambda x: 1 - x * x, (3.0,), "1 - x^2"),
        (lambda x: 2**x, (3.0,), "2^x"),
        (lambda x, y: (x + y) / (x - y), (3.0, 2.0), r"\frac{x + y}{x - y}"),
        (lambda x, y: (x / y) / x, (3.0, 2.0), r"\frac{1}{x} \frac{x}{y}"),
        (lambda x: x * 1e-5, (3.0,), "10^{-5} x"),
        (lambda x: x * 3 * 2.5, (3.0,), r"7.5 x|2.5 \cdot 3 x"),
        (lambda A, B: A @ B, (A, B), "A B"),
        (lambda A, B: (A @ B).T, (A, B), r"(A B)^{\top}"),
        (lambda A, B: A.T @ B.T, (A, B), r"A^{\top} B^{\top}"),
        (lambda A, v: A @ v, (A, v), "A v"),
        (lambda A, w: w @ A, (A, w), r"A^{\top} w"),
        (lambda v, u: v @ u, (v, v), r"v^{\top} u"),
        (lambda v, w: v[:, None] * w, (v, w), r"v w^{\top}"),
        (lambda A: A.sum(), (A,), r"\sum_{i,j} A_{ij}"),
        (lambda A: A.sum(axis=0), (A,), r"\sum_{i=1}^{3} A_{i,:}"),
        (lambda A: A.mean(axis=1, keepdims=True), (A,), r"\frac{1}{4} \sum_{i=1}^{4} A_{:,i}"),
        (lambda a, b: (a * b - a).sum(), (a, b), r"\sum_{i,j} (a_{ij} b_{ij} - a_{ij})"),
        (lambda a: (-a).sum(), (a,), r"-\sum_{i,j} a_{ij}"),
        (lambda A, B: (A @ B).sum(), (A, B), r"\sum_{i,j} (A B)_{ij}"),
        (lambda A, B: (A.T * B).sum(), (A, B), r"\sum_{i,j} A_{ji} B_{ij}"),
        (lambda A, v: (A - v).sum(), (A, v), r"\sum_{i,j} (A_{ij} - v_j)"),
        (lambda a, b: np.einsum("ij,ij->", a, b), (a, b), r"\sum_{i,j} a_{ij} b_{ij}"),
        (lambda a, i: a.sum() * i, (a, 2.0), r"i \sum_{j,k} a_{jk}"),
        (lambda a: np.where(a > 1, a, 0.5), (a,),
         r"\begin{cases} a & \text{if } a > 1 \\ 0.5 & \text{otherwise} \end{cases}"),
        (lambda a, b: (a > 1) * b, (a, b), r"\left[a > 1\right] \odot b"),
        (lambda A: A[1:, 0], (A,), "A[1:, 0]"),
        (lambda A: np.exp(-A) ** 2, (A,), r"\exp(-A)^{\odot 2}"),
    ],
)  # fmt: skip
def test_brackets_products_and_sums(f: Any, args: tuple[Any, ...], written: str) -> None:
    graph = cr.trace(f, *args)
    (out,) = graph.outputs
    definitions = {x: e for e in graph.equations for x in e.outputs}
    names = {x: n for x, n in all_names(graph).items() if x in graph.inputs}
    found = Latex(symbols(graph, names), definitions).of(out).text  # type: ignore[arg-type]
    assert found in written.split("|")
    parse(found)


@pytest.mark.parametrize(
    ("value", "written"),
    [(2, "2"), (2.0, "2"), (-3, "-3"), (0.25, "0.25"), (1e-8, "10^{-8}"), (3e20, r"3 \cdot 10^{20}"),
     (np.inf, r"\infty"), (-np.inf, r"-\infty"), (np.nan, r"\mathrm{NaN}"), (True, r"\mathrm{True}")],
)  # fmt: skip
def test_numbers(value: Any, written: str) -> None:
    assert number(value).text == written


# names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [("x", "x"), ("W1", "W_1"), ("W_1", "W_1"), ("Yhat", r"\hat{Y}"), ("y_hat", r"\hat{y}"), ("Yhat2", r"\hat{Y}_2"),
     ("x_bar", r"\bar{x}"), ("gamma", r"\gamma"), ("beta1", r"\beta_1"), ("eps", r"\varepsilon"), ("lam", r"\lambda"),
     ("lambda_", r"\lambda"), ("θ", r"\theta"), ("Ω1", r"\Omega_1"), ("W_out", r"W_{\mathrm{out}}"), ("Wx", "W_x"),
     ("Whh", "W_{hh}"), ("loss", r"\mathrm{loss}"), ("W_1_2", "W_{1,2}"), ("v_W1", "v_{W_1}"), ("hat", r"\mathrm{hat}"),
     ("_", r"\_"), ("größe", r"\mathrm{größe}")],
)  # fmt: skip
def test_names_are_symbols(name: str, written: str) -> None:
    assert str(symbol(name)) == written


def test_no_two_values_have_the_same_symbol() -> None:
    def f(W1: Any, W_1: Any, L: Any, theta: Any, θ: Any) -> Any:
        loss = W1 * W_1 + L * theta * θ
        return loss

    graph = cr.derive(f, 1.0, 2.0, 3.0, 4.0, 5.0).graph
    found = list(map(str, symbols(graph, all_names(graph)).values()))
    assert len(set(found)) == len(found)
    assert r"\mathcal{L}" in found  # L is taken
    assert r"\mathtt{W\_1}" in found


# the chain rule ----------------------------------------------------------------------------------------------


def lines_of(f: Any, *args: Any) -> dict[str, str]:
    text = derivation(cr.derive(f, *args).graph)
    rows = re.split(r" \\\\(?:\[1\.5ex\])?\n(?!&=)", text.split("\n", 1)[1].rsplit("\n", 1)[0])
    return {left: re.sub(r" \\\\\n&", " ", right) for left, right in (row.split(" &= ", 1) for row in rows)}


def d(value: str, by: str) -> str:
    return rf"\frac{{\partial {value}}}{{\partial {by}}}"


def test_paths_that_meet_are_added() -> None:
    def f(x: Any) -> Any:
        u = np.sin(x)
        v = np.cos(x)
        y = u * v
        return y.sum()

    chain = lines_of(f, np.ones(3))[d("f", "x")].split(" = ")[0]
    assert chain == " + ".join(rf"{d('f', 'y')} \odot {d('y', path)} \odot {d(path, 'x')}" for path in "vu")


def test_a_direct_path_holds_the_other_values_fixed() -> None:
    def loss(W: Any) -> Any:
        Z = np.tanh(W @ np.ones(3))
        return (Z**2).sum() + 0.1 * (W**2).sum()

    chain = lines_of(loss, np.ones((2, 3)))[d("L", "W")].split(" = ")[0]
    assert rf"\left.{d('L', 'W')}\right|_{{Z}}" in chain
    assert d("L", "Z") in chain


def test_many_paths_are_not_all_written() -> None:
    def f(w: Any) -> Any:
        h = 1.0
        for _ in range(20):
            h = np.tanh(w * h)
        return 2 * h

    right = lines_of(f, 0.5)[d("f", "w")]
    assert r"\cdots" in right.split(" = ")[0]
    assert right.split(" = ")[0].count(r"\partial w") == 3


def test_what_is_no_path_is_no_factor() -> None:
    def f(x: Any) -> Any:
        m = np.argmax(x)
        scale = np.floor(x)
        y = x * scale
        return y[m] + y.sum()

    right = lines_of(f, np.array([1.5, 2.5]))[d("f", "x")]
    assert r"\partial m" not in right
    assert d("f", "y") in right


def test_the_second_order_has_symbols_of_its_own() -> None:
    f, args = NETWORKS["sigmoid_4_2_3"]
    found = derivation(cr.derive(f, *args, order=2).graph)
    assert d(r"\dot{L}", "W_1") in found and r"\dot{H} &=" in found
    parse(found)


def test_a_deep_expression_is_taken_apart() -> None:
    found = derivation(cr.derive(eval("lambda x: " + "np.sin(" * 90 + "x" + ")" * 90, {"np": np}), 0.5).graph)
    assert len(found.splitlines()) > 10
    assert max(map(len, found.splitlines())) < 3000


def test_a_graph_without_a_backward_pass_has_its_formulas() -> None:
    found = derivation(cr.trace(lambda X, W1: np.tanh(X @ W1), np.ones((5, 2)), np.ones((2, 3))))
    assert found == ("\\begin{align*}\nf &= \\tanh(X W_1) && \\in \\mathbb{R}^{5 \\times 3}\n\\end{align*}")


# what the formulas say, computed -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*LISTED, "tanh_4_3_1"])
def test_the_formulas_compute_what_the_engine_does(name: str) -> None:
    f, args = NETWORKS[name]
    graph = cr.derive(f, *args).graph
    writing = _Writing(graph)
    values = {key(s): np.asarray(v.value) for v, s in writing.symbols.items()}
    by_symbol = {str(s): np.asarray(v.value) for v, s in writing.symbols.items()}
    checked = 0
    for left, right in lines(derivation(graph)):
        if r"\operatorname" not in right:
            found = np.asarray(computed(right, values))
            expected = by_symbol[left]
            np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-10, atol=1e-13)
            checked += 1
    assert checked >= len(writing.stated) - 1


def test_the_reading_can_fail() -> None:
    values = {"|A|": A, "|B|": np.arange(12.0).reshape(4, 3)}
    np.testing.assert_array_equal(computed(r"2 A B", values), 2 * A @ values["|B|"])
    assert not np.array_equal(computed(r"\sum_{i,j} B_{ij}^2", values), values["|B|"].sum())
    assert computed(r"\sum_{i,j} B_{ij}^2", values) == (values["|B|"] ** 2).sum()
    with pytest.raises(AssertionError):
        computed(r"A )", values)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_chain_rule_is_true(name: str) -> None:
    """Along a direction: the changes of the values at the next steps, times the derivatives by these."""
    f, args = NETWORKS[name]
    graph = cr.derive(f, *args).graph
    writing = _Writing(graph)
    chains, stated = writing.chains, writing.stated
    values = {v: v.value for e in graph.equations for v in (*e.used(), *e.outputs)}
    back = {v.of: v.value for e in graph.equations for v in e.outputs if v.backward and v.of is not None}

    def moved(of: Variable, to: Variable, value: Any, whole: bool) -> Any:
        """`to` where `of` has another value; all else that has a line keeps its own, if it is no total derivative."""
        known = values | {of: value}
        for made in forward_part(graph):
            for v, found in zip(made.outputs, made.evaluate(known), strict=True):
                if v is to or (v is not of and (whole or v not in stated)):
                    known[v] = found
        return known[to]

    def change(of: Variable, direction: Any, total: bool = False) -> Any:
        """The change of the value of the function, by the chain rule as it is written."""
        if not total and (of is chains.out or of in back):
            return np.sum(direction * (1.0 if of is chains.out else back[of]))
        step = 1e-5 * direction
        return sum(
            change(
                s.to,
                (moved(of, s.to, of.value + step, s.whole) - moved(of, s.to, of.value - step, s.whole))
                / 2e-5,
            )
            for s in chains.steps(of)
        )

    draw = np.random.default_rng(0)
    written = [v.of for v in writing.symbols if v.of is not None]
    assert written
    for of in written:
        direction = draw.normal(size=of.shape)
        expected = np.sum(direction * back[of])
        np.testing.assert_allclose(change(of, direction, total=True), expected, rtol=1e-5, atol=1e-8)


# from `derive` -------------------------------------------------------------------------------------------------


def test_derive_shows_formulas_instead_of_source(tmp_path: Path) -> None:
    f, args = NETWORKS["sigmoid_4_2_3"]
    formulas, source = cr.derive(f, *args, latex=True), cr.derive(f, *args)
    assert str(formulas) == formulas.latex == source.latex == derived("sigmoid_4_2_3")
    assert str(source) == source.source.rstrip("\n")
    assert formulas.source == source.source
    saved = formulas.save(tmp_path / "derivation.tex")
    assert saved.read_text(encoding="utf-8") == formulas.latex + "\n"
    value, _ = formulas.function(*args)
    assert value == f(*args)


def test_a_notebook_shows_formulas() -> None:
    shown = cr.derive(*NETWORKS["parabola"][:1], 3.0)._repr_latex_()
    assert shown.startswith("$$\n\\begin{aligned}\nf &=") and shown.endswith("\n\\end{aligned}\n$$")


def test_a_training_step_has_formulas() -> None:
    X, Y = np.ones((5, 3)), np.zeros((5, 2))

    def error(W: Any) -> Any:
        return ((X @ W - Y) ** 2).mean()

    def quiet(W: Any, rate: Any) -> Any:
        return W - rate * cr.grad(error)(W)

    def loud(W: Any, rate: Any) -> Any:
        value, gradient = cr.value_and_grad(error)(W)
        return value, W - rate * gradient

    args = (np.ones((3, 2)), 0.1)
    assert r"\bar{W}" in cr.derive(quiet, *args).latex  # of what it is the derivative, nobody says
    found = cr.derive(loud, *args).latex
    assert r"\bar" not in found
    assert rf"- \mathrm{{rate}} \, {d('f', 'W')}" in found
    parse(found)
