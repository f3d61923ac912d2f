"""Shapes, axes and indices of every kind, drawn by Hypothesis."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import Shape
from derivatives import weights_for
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import chainrule as cr
from chainrule import ops

SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
SOLID = npst.array_shapes(min_dims=1, max_dims=3, max_side=3)


def numbers(shape: Shape, start: float = 0.0) -> Any:
    return np.sin(start + 1.7 * np.arange(math.prod(shape))).reshape(shape)


def gradient(function: Callable[..., Any], *arrays: Any) -> list[Any]:
    """The gradients of the results, weighted and added."""
    inputs = [cr.Tensor(a, requires_grad=True) for a in arrays]
    out = function(*inputs)
    ops.sum(out * weights_for(out.shape)).backward()
    return [np.zeros(t.shape) if t.grad is None else t.grad.data for t in inputs]


def assert_adjoint(function: Callable[[Any], Any], x: Any) -> None:
    """A linear function and its cotangent: <w, f(v)> = <f*(w), v> for every v and w."""
    v = numbers(x.shape, 0.5)
    out = function(v)
    (pulled,) = gradient(function, x)
    assert pulled.shape == x.shape
    np.testing.assert_allclose(
        (pulled * v).sum(), (weights_for(out.shape) * out).sum(), rtol=1e-12, atol=1e-12
    )


# indices -------------------------------------------------------------------------------------------------


@st.composite
def arrays_and_keys(draw: st.DrawFn) -> tuple[Any, Any]:
    """An array, and an index: basic, of integer arrays, of booleans, or integers among slices."""
    shape = draw(npst.array_shapes(min_dims=1, max_dims=4, max_side=4))
    kind = draw(st.sampled_from(["basic", "integers", "mask", "mixed"]))
    if kind == "basic":
        return numbers(shape), draw(npst.basic_indices(shape, allow_newaxis=True))
    if kind == "integers":
        result = npst.array_shapes(min_dims=1, max_dims=2, max_side=3)
        return numbers(shape), draw(npst.integer_array_indices(shape, result_shape=result))
    if kind == "mask":
        count = draw(st.integers(1, len(shape)))
        return numbers(shape), draw(npst.arrays(bool, shape[:count]))
    return numbers(shape), tuple(draw(mixed_part(n)) for n in shape[: draw(st.integers(1, len(shape)))])


def mixed_part(length: int) -> st.SearchStrategy[Any]:
    places = st.integers(-length, length - 1)
    return st.one_of(places, st.slices(length), npst.arrays(np.int64, (2,), elements=places))


@given(arrays_and_keys())
@settings(max_examples=300)
def test_any_index_of_numpy_is_read(drawn: Any) -> None:
    x, key = drawn
    expected = x[key]
    tensor = cr.Tensor(x, requires_grad=True)
    out = tensor[key]
    assert out.shape == np.shape(expected)
    np.testing.assert_array_equal(out.data, expected)
    assert_adjoint(lambda v: v[key], x)


@given(arrays_and_keys(), st.sampled_from([(), (1,), None]))
@settings(max_examples=200)
def test_any_index_of_numpy_is_assigned(drawn: Any, shape: Shape | None) -> None:
    x, key = drawn
    taken = np.shape(x[key])
    y = numbers(taken if shape is None or not taken else shape)  # an array of one is no element for NumPy
    numbered, expected = np.full(x.shape, -1), x.copy()
    numbered[key] = np.arange(y.size).reshape(
        y.shape
    )  # which element of y is written last to each element of x
    expected[key] = y
    weights = weights_for(x.shape)
    np.testing.assert_array_equal(ops.index_update(cr.Tensor(x), y, key=key).data, expected)
    by_x, by_y = gradient(lambda x, y: ops.index_update(x, y, key=key), x, y)
    np.testing.assert_allclose(by_x, np.where(numbered < 0, weights, 0.0))
    found = [weights[numbered == i].sum() for i in range(y.size)]
    np.testing.assert_allclose(by_y, np.reshape(found, y.shape), rtol=1e-12, atol=1e-14)


# moving elements: linear functions -----------------------------------------------------------------------


def axis_of(shape: Shape, number: int) -> int:
    return number % (2 * len(shape)) - len(shape)


MOVES: dict[str, Callable[[Any, Shape, int, int], Any]] = {
    "sum": lambda x, s, i, j: ops.sum(x, axis=axis_of(s, i), keepdims=bool(j % 2)),
    "mean": lambda x, s, i, j: ops.mean(x, axis=axis_of(s, i), keepdims=bool(j % 2)),
    "cumulative_sum": lambda x, s, i, j: ops.cumulative_sum(
        x, axis=axis_of(s, i), include_initial=bool(j % 2)
    ),
    "reshape": lambda x, s, i, j: ops.reshape(x, shape=(s[0], -1)),
    "ravel": lambda x, s, i, j: x.reshape(-1),
    "moveaxis": lambda x, s, i, j: ops.moveaxis(x, axis_of(s, i), axis_of(s, j)),
    "swapaxes": lambda x, s, i, j: ops.swapaxes(x, axis_of(s, i), axis_of(s, j)),
    "transpose": lambda x, s, i, j: ops.transpose(x),
    "expand_dims": lambda x, s, i, j: ops.expand_dims(x, axis=axis_of((*s, 1), i)),
    "squeeze": lambda x, s, i, j: ops.squeeze(x),
    "broadcast_to": lambda x, s, i, j: ops.broadcast_to(x, shape=(i % 3, *s)),
    "flip": lambda x, s, i, j: ops.flip(x, axis=axis_of(s, i)),
    "roll": lambda x, s, i, j: ops.roll(x, shift=j - 5, axis=axis_of(s, i)),
    "tile": lambda x, s, i, j: ops.tile(x, (1 + i % 2, 1 + j % 2)),
    "repeat": lambda x, s, i, j: ops.repeat(x, 1 + j % 3, axis=axis_of(s, i)),
    "concat": lambda x, s, i, j: ops.concat([x, 2.0 * x, x], axis=axis_of(s, i)),
    "stack": lambda x, s, i, j: ops.stack([x, 2.0 * x], axis=axis_of((*s, 1), i)),
    "split": lambda x, s, i, j: ops.array_split(x, 1 + j % 3, axis=axis_of(s, i))[0],
    "unstack": lambda x, s, i, j: ops.unstack(x, axis=axis_of(s, i))[-1],
    "take": lambda x, s, i, j: ops.take(x, [0, -1, 0], axis=axis_of(s, i)),
    "pad zeros": lambda x, s, i, j: ops.pad(x, (i % 3, j % 3)),
    "pad edges": lambda x, s, i, j: ops.pad(x, (i % 3, j % 3), mode="edge"),
    "pad around": lambda x, s, i, j: ops.pad(x, (i % 3, j % 3), mode="wrap"),
    "pad mirrored": lambda x, s, i, j: ops.pad(x, (i % 3, j % 3), mode="symmetric"),
}
PLANES: dict[str, Callable[[Any, Shape, int, int], Any]] = {
    "triu": lambda x, s, i, j: ops.triu(x, k=i % 5 - 2),
    "tril": lambda x, s, i, j: ops.tril(x, k=i % 5 - 2),
    "rot90": lambda x, s, i, j: ops.rot90(x, k=i),
    "diagonal": lambda x, s, i, j: ops.diagonal(x, offset=i % 5 - 2),
    "trace": lambda x, s, i, j: ops.trace(x, offset=i % 5 - 2),
    "matrix_transpose": lambda x, s, i, j: ops.matrix_transpose(x),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@given(shape=SOLID, i=st.integers(0, 11), j=st.integers(0, 11))
@settings(max_examples=15)
def test_functions_that_move_elements(name: str, shape: Shape, i: int, j: int) -> None:
    assert_adjoint(lambda x: MOVES[name](x, shape, i, j), numbers(shape))


@pytest.mark.parametrize("name", PLANES)
@given(
    shape=npst.array_shapes(min_dims=2, max_dims=3, max_side=4), i=st.integers(0, 11), j=st.integers(0, 11)
)
@settings(max_examples=15)
def test_functions_that_move_elements_of_planes(name: str, shape: Shape, i: int, j: int) -> None:
    assert_adjoint(lambda x: PLANES[name](x, shape, i, j), numbers(shape))


# reductions ----------------------------------------------------------------------------------------------

REDUCTIONS = ["prod", "max", "min", "var", "std", "logsumexp", "vector_norm", "median"]


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
@settings(max_examples=15)
def test_reductions_over_any_axes(name: str, data: Any) -> None:
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=4, max_side=3))
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1).map(tuple))
    axis = data.draw(st.sampled_from([axes, tuple(a - len(shape) for a in axes), axes[0]]))
    keepdims = data.draw(st.booleans())
    x, reduce = numbers(shape, 0.3), getattr(ops, name)

    def whole(v: Any) -> Any:
        return reduce(v, axis=axis, keepdims=keepdims)

    (found,) = gradient(whole, x)
    out = whole(x)
    reduced = (axis,) if isinstance(axis, int) else axis
    kept = [i for i in range(len(shape)) if i not in {a % len(shape) for a in reduced}]
    weights = weights_for(out.shape).reshape([shape[i] for i in kept])
    for place in np.ndindex(*(shape[i] for i in kept)):  # each line by itself, without axes
        key = tuple(place[kept.index(i)] if i in kept else slice(None) for i in range(len(shape)))
        np.testing.assert_allclose(
            found[key], weights[place] * cr.grad(reduce)(x[key]), rtol=1e-11, atol=1e-14
        )


# products ------------------------------------------------------------------------------------------------


@given(npst.mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3))
@settings(max_examples=80)
def test_matrix_products_of_all_shapes(shapes: Any) -> None:
    x, y = (numbers(s, k) for k, s in enumerate(shapes.input_shapes))
    assert_bilinear(lambda x, y: x @ y, x, y)


@given(st.data())
@settings(max_examples=150)
def test_einsum_of_all_kinds(data: Any) -> None:
    lengths = {c: data.draw(st.integers(1, 3)) for c in "ijk"}
    names = [data.draw(st.text("ijk", max_size=3)) for _ in range(2)]
    batch = [data.draw(st.booleans()) for _ in range(2)]
    # An index that an operand repeats has one length there; another may be stretched from 1.
    sides = [
        {c: 1 if name.count(c) == 1 and data.draw(st.booleans()) else lengths[c] for c in name}
        for name in names
    ]
    arrays = [
        numbers((*((2,) if b else ()), *(side[c] for c in name)), k)
        for k, (name, side, b) in enumerate(zip(names, sides, batch, strict=True))
    ]
    terms = ",".join(("..." if b else "") + n for n, b in zip(names, batch, strict=True))
    letters = sorted(set("".join(names)))
    output = data.draw(st.lists(st.sampled_from(letters), unique=True)) if letters else []
    subscripts = data.draw(st.sampled_from([terms + "->..." + "".join(output), terms]))
    try:
        expected = np.einsum(subscripts, *arrays)
    except ValueError:  # NumPy refuses "..." in the result where no operand has it
        return
    np.testing.assert_allclose(ops.einsum(subscripts, *arrays), expected, rtol=1e-12, atol=1e-12)
    assert_bilinear(lambda x, y: ops.einsum(subscripts, x, y), *arrays)


def assert_bilinear(product: Callable[[Any, Any], Any], x: Any, y: Any) -> None:
    """Linear in each factor, so that <w, x y> is the product of either with its own gradient."""
    value = (weights_for(np.shape(product(x, y))) * product(x, y)).sum()
    by_x, by_y = gradient(product, x, y)
    assert (by_x.shape, by_y.shape) == (x.shape, y.shape)
    assert_adjoint(lambda v: product(v, y), x)
    assert_adjoint(lambda v: product(x, v), y)
    np.testing.assert_allclose([(by_x * x).sum(), (by_y * y).sum()], value, rtol=1e-10, atol=1e-12)
