"""Every row of the table of cases: values, first and second derivatives, types, shapes, what stays alive."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import CASES, FUNCTIONS, POINTS, PRIMITIVES, At, Case, Shape
from updates import OVERWRITING, UPDATES, Program

import chainrule as cr
from chainrule import ops
from chainrule.functions.arrays import data_of
from chainrule.trees import leaves

DIFFERENTIABLE = [c for c in CASES if c.differentiable and c.draws]
ELEMENTWISE = [c for c in DIFFERENTIABLE if c.name in PRIMITIVES and PRIMITIVES[c.name].elementwise]
KEEPING = {c.name: c for c in CASES if c.keeps is not None}
BROADCAST: list[tuple[Shape, ...]] = [
    ((3, 1), (4,), (1,)),
    ((), (2, 3), (3,)),
    ((2, 1, 3), (4, 1), ()),
    ((1,), (3,), (3,)),
]


def rows(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=repr)


def tensors(arrays: list[Any]) -> list[cr.Tensor]:
    return [cr.Tensor(a, requires_grad=True) for a in arrays]


def parts(result: Any) -> list[Any]:
    """The arrays of a result."""
    return [np.asarray(data_of(part)) for _, part in leaves(result)]


def total(result: Any) -> Any:
    """A number that depends on every float of a result, on each in its own way."""
    floats = [r for _, r in leaves(result) if isinstance(r, cr.Tensor) and r.dtype.kind == "f"]
    return sum((ops.sum(r * weights_for(r.shape, r.dtype)) for r in floats), 0.0)


def weights_for(shape: Shape, dtype: Any = np.float64) -> Any:
    return np.cos(1.0 + np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def gradients(case: Case, arrays: list[Any]) -> list[Any]:
    inputs = tensors(arrays)
    total(case(*inputs)).backward()
    return [zeros_if_none(t) for t in inputs]


def zeros_if_none(tensor: cr.Tensor) -> Any:
    return np.zeros_like(tensor.data) if tensor.grad is None else tensor.grad.data


def assert_same(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """Equal in value, shape and type, up to rounding relative to the largest element."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    finite = np.abs(expected[np.isfinite(expected)]) if expected.dtype.kind == "f" else np.abs(expected)
    scale = max(1.0, float(finite.max(initial=0.0)))
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


# the table is complete -----------------------------------------------------------------------------------


def test_every_primitive_and_every_function_has_a_row() -> None:
    assert PRIMITIVES.keys() | FUNCTIONS.keys() == {c.name for c in CASES}


def test_every_differentiable_primitive_declares_what_it_keeps() -> None:
    assert {n for n, p in PRIMITIVES.items() if p.differentiable} == KEEPING.keys()


# forward -------------------------------------------------------------------------------------------------


@rows(CASES)
@pytest.mark.parametrize("wrap", [np.asarray, cr.Tensor])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_are_those_of_numpy(case: Case, wrap: Callable[[Any], Any], dtype: type) -> None:
    arrays = case.drawn(dtype)
    found, expected = parts(case(*map(wrap, arrays))), parts(case.expected(*arrays))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert_same(f, e, 1e-12 if dtype is np.float64 else 1e-4)


@rows([c for c in CASES if c.draws and c.name not in ("shape_of", "data_of")])
def test_a_tensor_gives_a_tensor(case: Case) -> None:
    result = case(*tensors(case.drawn()))
    assert isinstance(next(part for _, part in leaves(result)), cr.Tensor)


@rows([c for c in CASES if not c.differentiable])
def test_what_has_no_derivative_needs_no_gradient(case: Case) -> None:
    result = case(*tensors(case.drawn()))
    assert not any(
        r.requires_grad for _, r in leaves(result) if isinstance(r, cr.Tensor) and r.dtype.kind == "f"
    )


# derivatives ---------------------------------------------------------------------------------------------


@rows(DIFFERENTIABLE)
def test_first_and_second_derivatives_are_those_of_differences(case: Case) -> None:
    arrays = case.drawn()
    checked = cr.check_grads(case, tuple(arrays), order=2)
    assert checked.arrays == 2 * sum(a.size > 0 for a in arrays)


@rows([c for c in DIFFERENTIABLE if c.kind == "smooth"])
def test_gradients_are_those_of_the_complex_step(case: Case) -> None:
    arrays = case.drawn()
    for which, (x, g) in enumerate(zip(arrays, gradients(case, arrays), strict=True)):
        assert_same(g, complex_step(case, arrays, which), 1e-12)
        assert g.shape == x.shape


def complex_step(case: Case, arrays: list[Any], which: int) -> Any:
    """The gradient by the imaginary part of f(x + ih)/h: no difference is taken, so nothing cancels."""
    gradient = np.zeros(arrays[which].shape)
    for index in np.ndindex(gradient.shape):
        moved = [a.astype(complex) for a in arrays]
        moved[which][index] += 1e-30j
        out = [o for o in parts(case.expected(*moved)) if o.dtype.kind == "c"]
        gradient[index] = sum(np.sum(o.imag * 1e30 * weights_for(o.shape)) for o in out)
    return gradient


@rows([c for c in DIFFERENTIABLE if c.kind != "flat"])
def test_the_derivative_along_a_direction_agrees_with_the_gradient(case: Case) -> None:
    arrays = case.drawn()
    directions = [np.sin(2.0 + np.arange(a.size)).reshape(a.shape) for a in arrays]

    def results(*values: Any) -> list[Any]:
        return [r for _, r in leaves(case(*values)) if isinstance(r, cr.Tensor) and r.dtype.kind == "f"]

    _, tangents = cr.jvp(results, tuple(arrays), tuple(directions))
    forward = sum(np.sum(t * weights_for(t.shape)) for t in tangents)
    reverse = sum(np.sum(g * d) for g, d in zip(gradients(case, arrays), directions, strict=True))
    np.testing.assert_allclose(forward, reverse, rtol=1e-9, atol=1e-11)


@rows([c for c in DIFFERENTIABLE if c.kind == "flat"])
def test_the_derivative_between_jumps_is_zero(case: Case) -> None:
    assert not any(g.any() for g in gradients(case, case.drawn()))


@rows(DIFFERENTIABLE)
def test_gradients_of_float32_are_float32(case: Case) -> None:
    arrays = case.drawn(np.float32)
    found, expected = gradients(case, arrays), gradients(case, [a.astype(np.float64) for a in arrays])
    for f, e in zip(found, expected, strict=True):
        assert_same(f, e.astype(np.float32), 1e-4)


@rows([c for c in DIFFERENTIABLE if len(c.draws) > 1])
def test_one_input_alone_gets_the_same_gradient(case: Case) -> None:
    arrays = case.drawn()
    for which, expected in enumerate(gradients(case, arrays)):
        inputs: list[Any] = list(arrays)
        inputs[which] = cr.Tensor(arrays[which], requires_grad=True)
        total(case(*inputs)).backward()
        assert_same(zeros_if_none(inputs[which]), expected)


# elementwise: shapes and scalars -------------------------------------------------------------------------


def fixed_are_scalars(case: Case) -> bool:
    return all(np.ndim(a) == 0 for a in case.arguments if not hasattr(a, "draw"))


@rows([c for c in ELEMENTWISE if len(c.draws) > 1 and fixed_are_scalars(c)])
@pytest.mark.parametrize("shapes", BROADCAST, ids=str)
def test_the_gradient_of_a_broadcast_input_is_summed(case: Case, shapes: tuple[Shape, ...]) -> None:
    arrays = case.drawn(shapes=shapes)
    full = [a.copy() for a in np.broadcast_arrays(*arrays)]
    assert_same(parts(case(*arrays))[0], case.expected(*full))
    for x, g, whole in zip(arrays, gradients(case, arrays), gradients(case, full), strict=True):
        assert_same(g, summed_to(whole, x.shape))


def summed_to(g: Any, shape: Shape) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 != g.shape[i]), keepdims=True).reshape(
        shape
    )


@rows([c for c in ELEMENTWISE if fixed_are_scalars(c)])
def test_a_number_is_differentiated_like_an_array_of_one(case: Case) -> None:
    arrays = case.drawn(shapes=[()] * 3)
    inputs = tensors(arrays)
    out = case(*inputs)
    assert out.shape == ()
    expected = gradients(case, [a.reshape(1) for a in arrays])
    for f, e in zip(gradients(case, arrays), expected, strict=True):
        assert_same(f, e.reshape(()))


@rows([c for c in ELEMENTWISE if fixed_are_scalars(c)])
def test_an_empty_array_has_an_empty_gradient(case: Case) -> None:
    arrays = case.drawn(shapes=[(0, 3)] * 3)
    assert parts(case(*arrays))[0].shape == (0, 3)
    assert [g.shape for g in gradients(case, arrays)] == [(0, 3)] * len(arrays)


@rows([c for c in ELEMENTWISE if len(c.draws) > 1 and len({d.shape for d in c.draws}) == 1])
def test_a_python_number_promotes_nothing(case: Case) -> None:
    arrays = case.drawn(np.float32)
    for which in range(len(arrays)):
        number = float(arrays[which].ravel()[0])
        mixed, full = list(arrays), list(arrays)
        mixed[which], full[which] = number, np.full_like(arrays[which], number)
        inputs = [a if i == which else cr.Tensor(a, requires_grad=True) for i, a in enumerate(mixed)]
        out = case(*inputs)
        assert_same(out.data, case.expected(*full), 1e-5)
        total(out).backward()
        for i, (t, e) in enumerate(zip(inputs, gradients(case, full), strict=True)):
            assert i == which or assert_same(t.grad.data, e, 1e-5) is None


# what stays alive ----------------------------------------------------------------------------------------


@rows(list(KEEPING.values()))
def test_the_plan_keeps_what_the_row_declares(case: Case) -> None:
    primitive, count = PRIMITIVES[case.name], len(case.arguments)
    kinds = {k for k in primitive.plan(count, 2**count - 1).kinds if k is not None}
    assert {"out" if k == -1 else primitive.inputs[k] for k in kinds} == set(case.keeps.split())


@rows(list(KEEPING.values()))
def test_nothing_else_stays_alive(case: Case) -> None:
    primitive, arrays = PRIMITIVES[case.name], case.drawn()
    out = primitive(*case.filled(tensors(arrays)), **case.parameters)
    outs = out if isinstance(out, tuple) else (out,)
    watched = [(name, weakref.ref(a)) for name, a in named_arrays(case, primitive, arrays)]
    watched += [("out", weakref.ref(o.data)) for o in outs if type(o.data) is np.ndarray]
    nodes = [o._current_node() for o in outs]
    with without_collector():
        del out, outs, arrays
        alive = {name for name, array in watched if array() is not None}
        assert nodes
    assert alive == set(case.keeps.split()) & dict(watched).keys()


def named_arrays(case: Case, primitive: Any, arrays: list[Any]) -> Iterator[tuple[str, Any]]:
    names = primitive.inputs * len(case.arguments) if primitive.variadic else primitive.inputs
    drawn = [n for n, a in zip(names, case.arguments, strict=False) if hasattr(a, "draw")]
    return zip(drawn, arrays, strict=True)


class without_collector:  # noqa: N801
    def __enter__(self) -> None:
        gc.disable()

    def __exit__(self, *_: Any) -> None:
        gc.enable()


# particular points ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS, ids=repr)
def test_the_gradient_at_a_particular_point(point: At) -> None:
    arguments, wanted = point_arguments(point)
    out = point(*arguments)
    if point.value is not None:
        np.testing.assert_allclose(out.data, point.value, rtol=1e-14, atol=1e-300)
    grads = cr.grad(lambda *x: ops.sum(point(*placed(arguments, wanted, x))), tuple(range(len(wanted))))
    for g, which in zip(grads(*(arguments[i].data for i in wanted)), wanted, strict=True):
        np.testing.assert_allclose(g, point.gives[which], rtol=1e-13, atol=1e-13)


def point_arguments(point: At) -> tuple[list[Any], list[int]]:
    """The arguments, those with a gradient as Tensors, and which these are."""
    wanted = [i for i, g in enumerate(point.gives) if g is not None]
    values = [np.asarray(a) for a in point.arguments]
    return [cr.Tensor(a.astype(float)) if i in wanted else a for i, a in enumerate(values)], wanted


def placed(arguments: list[Any], wanted: list[int], values: tuple[Any, ...]) -> list[Any]:
    given = iter(values)
    return [next(given) if i in wanted else a for i, a in enumerate(arguments)]


@pytest.mark.filterwarnings("ignore::chainrule.errors.IndependentWarning")
@pytest.mark.parametrize("point", [p for p in POINTS if p.second is not None], ids=repr)
def test_the_second_derivative_at_a_particular_point(point: At) -> None:
    arguments, wanted = point_arguments(point)
    argnums = tuple(range(len(wanted)))

    def slope(*x: Any) -> Any:
        first = cr.grad(lambda *v: ops.sum(point(*placed(arguments, wanted, v))), argnums)(*x)
        return sum(ops.sum(g) for g in first)

    for g, which in zip(cr.grad(slope, argnums)(*(arguments[i].data for i in wanted)), wanted, strict=True):
        np.testing.assert_allclose(g, point.second[which], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["norm", "std", "hypot", "max", "median"])
def test_the_second_derivative_at_a_kink_is_finite(name: str) -> None:
    x = np.zeros(3)
    function = (lambda v: ops.hypot(v, v)) if name == "hypot" else FUNCTIONS[name]
    assert np.isfinite(cr.hessian(lambda v: ops.sum(function(v * 1.0)))(x)).all()


# changes in place ----------------------------------------------------------------------------------------

X, V = np.array([0.3, -1.2, 0.9, 2.1, -0.7]), np.array([1.3, -0.6, 0.8, 1.7])


CHANGES = UPDATES | OVERWRITING


@pytest.mark.parametrize("program", CHANGES.values(), ids=CHANGES)
def test_gradients_through_changes_in_place(program: Program) -> None:
    assert cr.check_grads(program, (X, V), order=2).arrays == 4
    found, expected = program(*tensors([X, V])), program(X.copy(), V.copy())
    for f, e in zip(parts(found), parts(expected), strict=True):
        assert_same(f, e)


def assign_repeatedly(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[[2, 0, 2, 2]] = v
    return z * z


def add_repeatedly(x: Any, v: Any) -> Any:
    z = x * 1.0
    z[[2, 0, 2, 2]] += v
    return z * z


@pytest.mark.parametrize("program", [assign_repeatedly, add_repeatedly])
def test_of_repeated_indices_the_last_write_counts(program: Program) -> None:
    assert cr.check_grads(program, (X, V), order=2).arrays == 4
    v = cr.Tensor(V, requires_grad=True)
    ops.sum(program(cr.Tensor(X), v)).backward()
    assert v.grad is not None
    assert [bool(g) for g in v.grad.data] == [False, True, False, True]
