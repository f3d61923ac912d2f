"""What is traced, what it is called, and what is refused with the user's line."""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from graph.test_derive_cases import weighed
from hypothesis import given, settings
from numpy_examples import ROWS, Row
from random_programs import DRAWN, INPUTS, decoded, result_of

import chainrule as cr
from chainrule import ops
from chainrule.errors import InputError, OutputError, ShapeError, UnsupportedError

x0 = np.array([0.5, -1.5, 2.0])


def names_in(graph: cr.Graph) -> list[str]:
    return [line.split(" = ")[0].strip() for line in str(graph).splitlines() if " = " in line]


# the graph -------------------------------------------------------------------------------------------------


def test_a_graph_prints_itself_and_runs() -> None:
    def f(x: Any, y: Any) -> Any:
        s = x * y
        return np.exp(s).sum()

    graph = cr.trace(f, x0, 2.0)
    assert str(graph) == (
        "f(x: float64 (3,), y: float64 ())\n"
        "  s = multiply(x, y)    # float64 (3,)\n"
        "  E = exp(s)            # float64 (3,)\n"
        "  value = sum(E)        # float64 ()\n"
        "  return value"
    )
    np.testing.assert_allclose(graph(x0 + 1, 3.0), f(x0 + 1, 3.0))
    with pytest.raises(InputError, match=r"traced with an array of shape \(3,\)"):
        graph(np.ones(4), 3.0)


def test_an_equation_has_its_line() -> None:
    graph = cr.trace(lambda x: np.exp(x), x0)
    code, _ = graph.equations[0].place or (None, 0)
    assert code is not None
    assert code.co_filename == __file__


def test_names_come_from_where_values_are_stored() -> None:
    def layer(x: Any) -> Any:
        inner = np.tanh(x)
        return inner

    class Model:
        def __call__(self, x: Any) -> Any:
            self.hidden = layer(x)
            first, second = np.linalg.eigh(np.outer(x, x))
            both = other = x * 2
            return (self.hidden + both + other).sum() + first.sum() + second.sum()

    names = names_in(cr.trace(Model(), x0))
    assert {"hidden", "both", "first, second"} <= set(names)
    assert "inner" not in names


def test_trees_give_names() -> None:
    class Pair(NamedTuple):
        weight: Any
        bias: Any

    def f(params: Any, pair: Any, rest: Any) -> Any:
        return (params["W"] * pair.weight + pair.bias).sum() + rest[0] * rest[1]

    arguments = ({"W": x0, "steps": 3}, Pair(x0, 0.5), (1.0, 2.0))
    derivation = cr.derive(f, *arguments)
    assert "weight, bias = pair.weight, pair.bias" in derivation.source
    value, (d_params, d_pair, d_rest) = derivation.function(*arguments)
    assert value == f(*arguments)
    np.testing.assert_array_equal(d_params["W"], x0)
    assert d_params["steps"] is None
    np.testing.assert_array_equal(d_pair["weight"], x0)
    assert d_rest == (2.0, 1.0)


def test_keywords_and_constants_are_keywords_of_the_derived_function() -> None:
    scale = np.array([1.0, 2.0, 3.0])

    def f(x: Any, *, power: int, offset: Any) -> Any:
        return (scale * x**power + offset).sum()

    derivation = cr.derive(f, x0, power=3, offset=1.0)
    assert "def f_and_gradient(x, *, offset, scale):" in derivation.source
    _, g = derivation.function(x0, offset=1.0)
    np.testing.assert_allclose(g, 3 * scale * x0**2)
    _, doubled = derivation.function(x0, offset=1.0, scale=2 * scale)
    np.testing.assert_allclose(doubled, 2 * g)


def test_an_array_outside_is_a_constant_even_if_it_is_also_the_argument() -> None:
    derivation = cr.derive(lambda x: (x * x0).sum(), x0)
    assert list(derivation.constants) == ["x0"]
    np.testing.assert_array_equal(derivation.function(x0)[1], x0)


def test_names_that_python_or_the_program_needs_are_changed() -> None:
    def f(a: Any, b: Any) -> Any:
        sigmoid = a * b
        d_a = 1 / (1 + np.exp(-sigmoid))
        return (d_a * a).sum()

    _check(f, x0, x0 + 1)


def _check(f: Any, *args: Any) -> cr.Derivation:
    derivation = cr.derive(f, *args)
    value, gradient = derivation.function(*args)
    many = tuple(range(len(args)))
    expected, g = cr.value_and_grad(f, many)(*args)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for found, wanted in zip(gradient if len(args) > 1 else (gradient,), g, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-12)
    return derivation


def test_changes_in_place_are_followed() -> None:
    def f(x: Any) -> Any:
        z = x * 1.0
        view = z[1:]
        view *= 2
        z[0] = 5.0
        flat = z.reshape(-1)
        z += x
        z.T[1] = x[0]
        return (view * flat[1:]).sum() + (z * x).sum()

    _check(f, x0)


def test_an_index_that_depends_on_values_stays_one() -> None:
    def f(x: Any) -> Any:
        return (np.sort(x) * np.array([1.0, 10.0, 100.0])).sum() + x[np.argmax(x)] ** 2

    derivation = _check(f, x0)
    other = x0[::-1] * 3
    np.testing.assert_allclose(derivation.function(other)[1], cr.grad(f)(other))


def test_values_without_history_have_no_gradient() -> None:
    def f(x: Any) -> Any:
        with cr.no_grad():
            mean = np.mean(x)
        return ((x - mean) * ops.data_of(1.0)).prod() + (x * x.detach()).sum()

    _, gradient = cr.derive(f, x0).function(x0)
    product = np.prod(x0 - x0.mean())
    np.testing.assert_allclose(gradient, product / (x0 - x0.mean()) + x0)


def test_values_without_history_have_none_in_the_second_order() -> None:
    def f(x: Any) -> Any:
        return (x**2 * x.detach() * np.exp(x)).sum()

    v = np.array([1.0, -2.0, 0.5])
    _, gradient, product = cr.derive(f, x0, order=2).function(x0, v)
    np.testing.assert_allclose(gradient, (2 * x0 + x0**2) * x0 * np.exp(x0))
    np.testing.assert_allclose(product, cr.hvp(f, (x0,), (v,)), rtol=1e-12)


def test_behind_a_selection_zero_stays_zero() -> None:
    def f(x: Any) -> Any:
        return (
            np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), 1.0).sum()
            + np.where(x > 0, x, np.exp(x) - 1).sum()
        )

    derivation = cr.derive(f, x0)
    big = np.array([-1.0, 0.0, 800.0])
    with np.errstate(all="ignore"):
        assert np.isfinite(derivation.function(big)[1]).all()
        np.testing.assert_allclose(derivation.function(big)[1], cr.grad(f)(big))


def test_a_gradient_inside_is_traced() -> None:
    def f(x: Any) -> Any:
        return (cr.grad(lambda w: (np.tanh(w) ** 3).sum())(x) ** 2).sum()

    _check(f, x0)
    names = names_in(cr.trace(f, x0))
    assert not [name for name in names if name.startswith(("x_bar", "bar_"))]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: cr.hvp(lambda w: (w**3).sum(), (x,), (x0,)).sum(),
        lambda x: (cr.jvp(lambda w: np.sin(w) * w.sum(), (x,), (x * x0,))[1] ** 2).sum(),
        lambda x: (cr.jacobian(lambda w: np.sin(w) * w.sum())(x) ** 2).sum(),
        lambda x: (cr.hessian(lambda w: (w**3).prod())(x) ** 2).sum(),
        lambda x: cr.vjp(np.sin, x)[1](x * 2)[0].sum(),
        lambda x: cr.elementwise_grad(np.tanh)(x).prod(),
        lambda x: (
            cr.grad(lambda w: np.where(w > 0, np.sqrt(np.where(w > 0, w, 1.0)), w * x).sum())(x) ** 2
        ).sum(),
        lambda x: cr.grad(lambda w: (w * x).sum() ** 2)(2.0) ** 2,
        lambda x: (x * x[0].item()).sum(),
        lambda x: (x * x.data).sum() + (x.detach().numpy() * x).prod(),
        lambda x: cr.grad(lambda a, b: (a * b * b * x).sum(), (0, 1))(x, x)[1].sum(),
        lambda x: ((tensor * 2) * x).sum() + cr.ops.multiply(tensor, x).sum(),
    ],
)
def test_transforms_inside_are_traced(f: Any) -> None:
    derivation = cr.derive(f, x0, argnums=0)
    value, gradient = cr.value_and_grad(f)(x0)
    np.testing.assert_allclose(derivation.function(x0)[0], value, rtol=1e-12)
    np.testing.assert_allclose(derivation.function(x0)[1], gradient, rtol=1e-11, atol=1e-12)


def test_float32_stays_float32() -> None:
    x = x0.astype(np.float32)
    value, g = cr.derive(lambda x: (x * 0.5 + 1.0).mean(), x).function(x)
    assert (value.dtype, g.dtype) == (np.float32, np.float32)


def test_random_numbers_are_frozen_and_it_says_so() -> None:
    derivation = cr.derive(lambda x: (x * np.random.normal(size=3)).sum(), x0)
    assert "another value each time" in derivation.notes[0]
    assert "another value each time" in " ".join(derivation.source.split())
    assert derivation.function(x0)[0] == derivation.function(x0)[0]


def test_a_number_of_elements_that_depends_on_values_is_noted() -> None:
    derivation = cr.derive(lambda x: x[x > 0].mean(), x0)
    assert "selected depends on values" in derivation.notes[0]
    assert cr.derive(lambda x: x.mean(), x0).notes == ()


@pytest.mark.parametrize(
    "f",
    [cr.ops.cross_entropy, lambda Z, y: (np.exp(Z) * cr.ops.one_hot(y, 3)).sum()],
    ids=["cross_entropy", "one_hot"],
)
def test_labels_are_traced(f: Any) -> None:
    labels = np.array([2, 0, 1])
    traced = cr.derive(f, np.eye(3), labels, argnums=0)
    assert traced.notes == ()
    _, g = traced.function(np.eye(3), labels[::-1])
    np.testing.assert_allclose(g, cr.grad(f)(np.eye(3), labels[::-1]), rtol=1e-12)


@pytest.mark.parametrize("row", [row for row in ROWS if row.arrays], ids=lambda row: row.name)
def test_no_value_of_the_traced_run_is_frozen(row: Row) -> None:
    """What NumPy's functions are derived to holds for other numbers too; else it is refused."""
    arrays = [np.asarray(a, float) for a in row.arrays]
    rng, by = np.random.default_rng(0), tuple(range(len(arrays)))

    def f(*args: Any) -> Any:
        return weighed(row.call(*args))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            derivation = cr.derive(f, *arrays, argnums=by)
        except (UnsupportedError, TypeError):
            return
        for _ in range(2):
            others = [rng.permutation(a.ravel()).reshape(a.shape) for a in arrays]
            try:
                value, gradient = cr.value_and_grad(f, by)(*others)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue  # an order of these numbers that the function refuses
            found, derived = derivation.function(*others)
            np.testing.assert_allclose(found, value, rtol=1e-7, atol=1e-9)
            for g, expected in zip(derived, gradient, strict=True):
                np.testing.assert_allclose(g, expected, rtol=1e-6, atol=1e-8)


def test_a_constant_tensor_into_which_a_traced_value_is_written_is_traced() -> None:
    made: list[cr.Tensor] = []

    def f(x: Any) -> Any:
        t = cr.Tensor(np.zeros(3))
        made.append(t)
        t[0] = 2 * x[0]
        return (t * t).sum()

    derivation = cr.derive(f, np.ones(3))
    value, gradient = derivation.function(np.array([2.0, 0.0, 0.0]))
    assert value == 16
    np.testing.assert_array_equal(gradient, [16.0, 0, 0])
    assert all(type(t) is cr.Tensor for t in made)


@pytest.mark.parametrize("text", ["square(x)", "sum(x)", "tanh(x)", "relu(x)"])
def test_an_own_primitive_is_not_taken_for_the_engines(text: str) -> None:
    own = cr.primitive(text, forward=lambda x: 3 * x * x, x=lambda g, x: 6 * g * x)

    def f(x: Any) -> Any:
        return cr.ops.sum(own(x) * x)

    assert "square(x)" in str(cr.trace(lambda x: own(x), x0)) or text != "square(x)"
    with pytest.raises(UnsupportedError, match="no NumPy source for the primitive"):
        cr.derive(f, x0)
    np.testing.assert_allclose(cr.compile(cr.grad(f))(x0), cr.grad(f)(x0), rtol=1e-13)


def test_a_function_that_reads_values_is_refused_while_tracing() -> None:
    with pytest.raises(UnsupportedError, match=r"about to read its values\n  at .*test_tracing"):
        cr.derive(lambda x: np.unique(x).sum(), np.arange(3.0))


def test_a_note_may_quote_any_line() -> None:
    notes = cr.derive(lambda x: {"a": x[x > 0].mean()}["a"], x0).notes
    assert '{"a": x[x > 0]' in notes[0]


# refusals --------------------------------------------------------------------------------------------------


def branch(x: Any) -> Any:
    return x if x > 0 else -x


def filled(x: Any) -> Any:
    out = np.zeros(3)
    out[0] = x
    return out.sum()


def changed(x: Any) -> Any:
    buffer = np.array([1.0, 2.0])
    y = x * buffer
    buffer += 1
    return (y * buffer).sum()


tensor: cr.Tensor = cr.Tensor(np.ones(3), requires_grad=True)
computed = tensor * 2


class Kept:
    """A place that no trace looks into."""

    values: list[Any]


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (branch, r"a branch depends on its value\n  at .*: return x if x > 0 else -x\n.*np.where"),
        (lambda x: float(x) * 2, "Python number"),
        (lambda x: math.exp(x), "Python number"),
        (lambda x: x.tolist() * x, "a list"),
        (lambda x: range(x)[0] * x, "integer"),
        (lambda x: (x * x).register_hook(print), "what the hook does"),
        (lambda x: (x * x).retain_grad(), "cr.grad"),
        (lambda x: (x * 1j).real, "complex"),
        (lambda x: np.array([x, x]).sum(), "plain array"),
        (filled, "np.zeros_like"),
        (changed, "changed in place after that"),
        (lambda x: (x * np.linalg.matrix_rank(x * np.eye(2))).sum(), "frozen"),
        (lambda x: (computed * x).sum(), "history"),
        (lambda x: cr.derive(lambda y: y * x, 2.0).function(2.0)[0], "while another one is"),
    ],
)
def test_what_cannot_be_traced_is_refused(f: Any, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        cr.derive(f, 2.0)


def test_a_value_is_not_used_after_its_trace() -> None:
    def keeps(x: Any) -> Any:
        Kept.values = [x * 2]
        return x

    cr.trace(keeps, x0)
    with pytest.raises(UnsupportedError, match="after its trace had ended"):
        Kept.values[0] + 1


def test_functions_without_a_gradient_are_refused() -> None:
    with pytest.raises(InputError, match="no floating-point numbers"):
        cr.derive(lambda n: n * 2, 3)
    with pytest.raises(ShapeError, match="a gradient is that of a scalar"):
        cr.derive(lambda x: x * 2, x0)
    with pytest.raises(InputError, match="returned None"):
        cr.derive(lambda x: None, x0)
    with pytest.raises(InputError, match="argument 2, but was given 1"):
        cr.derive(lambda x: x, 1.0, argnums=2)


# files -----------------------------------------------------------------------------------------------------


def test_saving_replaces_nothing_unless_forced(tmp_path: Path) -> None:
    derivation = cr.derive(lambda x: x * x, 3.0)
    path = derivation.save(tmp_path / "square.py")
    assert path.read_text() == derivation.source
    with pytest.raises(OutputError, match="exists already"):
        derivation.save(path)
    derivation.save(path, force=True)
    with pytest.raises(OutputError, match="cannot be written"):
        derivation.save(tmp_path / "nowhere" / "square.py")
    assert [p.name for p in tmp_path.iterdir()] == ["square.py"]


# random programs -------------------------------------------------------------------------------------------


def function_of(drawn: list[tuple[int, int, int, int]]) -> Any:
    program = decoded(drawn)

    def f(*inputs: Any) -> Any:
        values: list[Any] = list(inputs)
        for step in program:
            values.append(result_of(step, values, ops))
        return sum((v * v).sum() for v in values)

    return f


@given(DRAWN)
@settings(max_examples=40)
def test_random_programs_are_derived_right(drawn: list[tuple[int, int, int, int]]) -> None:
    f = function_of(drawn)
    value, gradient = cr.derive(f, *INPUTS).function(*INPUTS)
    expected, g = cr.value_and_grad(f, (0, 1, 2, 3))(*INPUTS)
    np.testing.assert_allclose(value, expected, rtol=1e-11)
    for found, wanted in zip(gradient, g, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


@given(DRAWN)
@settings(max_examples=20)
def test_random_programs_are_derived_twice_and_from_the_inside(
    drawn: list[tuple[int, int, int, int]],
) -> None:
    f = function_of(drawn)
    directions = [np.cos(x) for x in INPUTS]
    products = cr.hvp(f, tuple(INPUTS), tuple(directions))
    _, _, found = cr.derive(f, *INPUTS, order=2).function(*INPUTS, *directions)

    def along(*inputs: Any) -> Any:
        pairs = zip(cr.grad(f, (0, 1, 2, 3))(*inputs), directions, strict=True)
        return sum((g * v).sum() for g, v in pairs)

    _, inside = cr.derive(along, *INPUTS).function(*INPUTS)
    for a, b, wanted in zip(found, inside, products, strict=True):
        scale = 1 + np.abs(wanted).max()
        np.testing.assert_allclose(a / scale, wanted / scale, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(b / scale, wanted / scale, rtol=1e-7, atol=1e-9)
