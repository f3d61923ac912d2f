"""How each primitive is written as native code: one function for each kind, and the table of them."""

from __future__ import annotations

from typing import Any

from chainrule.graph.emit.llvm import elements, reductions
from chainrule.graph.emit.llvm.convolving import (
    add_patches,
    convolve,
    convolve_transposed,
    convolve_weights,
    take_patches,
)
from chainrule.graph.emit.llvm.elements import converted
from chainrule.graph.emit.llvm.indexing import Places, is_supported
from chainrule.graph.emit.llvm.moves import MOVES, sliced
from chainrule.graph.emit.llvm.multiplying import multiply_arrays
from chainrule.graph.emit.llvm.program import Lowered, Lowering, Writer, work_of
from chainrule.graph.emit.llvm.stamps import Stamps
from chainrule.graph.emit.llvm.values import Lazy, Value, View, broadcast, size_of
from chainrule.graph.ir import Equation, Graph, Literal, Variable, variables_in
from chainrule.rules.index import is_basic
from chainrule.typing import Shape


def _elementwise(lowering: Lowering, equation: Equation) -> bool:
    if not (equation.primitive.elementwise or equation.name in elements.PLAIN):
        return False
    size = size_of(equation.output.shape)
    value = elements.elementwise(equation, [lowering.once(a, size) for a in equation.inputs])
    if value is None:
        return False
    lowering.bind(equation, value)
    return True


def _moved(lowering: Lowering, equation: Equation) -> bool:
    (atom,) = equation.inputs
    move = MOVES[equation.name]
    value = move(equation, lowering.once(atom, size_of(equation.output.shape)))
    if value is None and equation.name == "getitem":
        return _gathered(lowering, equation)
    if value is None:
        source = lowering.value(atom)
        axes = range(len(source.shape))
        view = lowering.stored(source, axes) if isinstance(source, Lazy) else lowering.packed_as(source, axes)
        value = move(equation, view)
    assert value is not None
    lowering.bind(equation, value)
    return True


def _reduced(lowering: Lowering, equation: Equation) -> bool:
    (x,) = map(lowering.value, equation.inputs)
    if (x.dtype == bool and equation.name in ("max", "min")) or not isinstance(equation.inputs[0], Variable):
        return False
    with lowering.shared(work_of(x)) as code:
        reductions.reduce(code, equation, x, lowering.destination(equation.output))
    return True


def _found(lowering: Lowering, equation: Equation) -> bool:
    (x,) = map(lowering.value, equation.inputs)
    if x.dtype == bool:
        return False
    with lowering.shared(work_of(x)) as code:
        reductions.find_extreme(code, equation, x, lowering.destination(equation.output))
    return True


def _accumulated(lowering: Lowering, equation: Equation) -> bool:
    (x,) = map(lowering.value, equation.inputs)
    if equation.parameters["axis"] is None or not x.shape or equation.output.dtype.kind == "b":
        return False
    with lowering.shared(work_of(x)) as code:
        reductions.accumulate(code, equation, x, lowering.destination(equation.output))
    return True


def _joined(lowering: Lowering, equation: Equation) -> bool:
    """Concatenate and stacked: each part is written to its place."""
    out = lowering.destination(equation.output)
    axis = equation.parameters["axis"] % len(out.shape)
    start = 0
    for atom in equation.inputs:
        value = lowering.value(atom)
        length = value.shape[axis] if equation.name == "concatenate" else 1
        part = slice(start, start + length) if equation.name == "concatenate" else start
        window = sliced(out, (*(slice(None),) * axis, part))
        assert isinstance(window, View)
        lowering.fill(window, value)
        start += length
    return True


def _rolled(lowering: Lowering, equation: Equation) -> bool:
    axis, shift = equation.parameters["axis"], equation.parameters["shift"]
    if not isinstance(axis, int) or not isinstance(shift, int):
        return False
    value, out = lowering.value(equation.inputs[0]), lowering.destination(equation.output)
    axis %= len(out.shape)
    n = out.shape[axis]
    shift = shift % n if n else 0
    for target, source in ((slice(shift, n), slice(0, n - shift)), (slice(0, shift), slice(n - shift, n))):
        before = (slice(None),) * axis
        window = sliced(out, (*before, target))
        assert isinstance(window, View)
        lowering.fill(window, sliced(value, (*before, source)))
    return True


def _index_views(lowering: Lowering, equation: Equation) -> dict[Any, View] | None:
    """The arrays of an index in memory; None if it has parts without native code."""
    key = equation.parameters["key"]
    views = {v: lowering.stored_atom(v) for v in variables_in(key)}
    return views if is_supported(key, views) else None


def _gathered(lowering: Lowering, equation: Equation) -> bool:
    views = _index_views(lowering, equation)
    if views is None:
        return False
    x = lowering.once(
        equation.inputs[0], 2 * size_of(equation.output.shape) + size_of(equation.inputs[0].shape)
    )
    places = Places(equation.parameters["key"], x.shape, views)
    places.check(lowering.code)
    lowering.bind(
        equation,
        Lazy(x.dtype, equation.output.shape, lambda code, idx: x.at(code, places.at(code, idx)), x.cost + 2),
    )
    return True


def _written(lowering: Lowering, equation: Equation) -> bool:
    """scatter_add and index_update: a copy, or zeros, and then the elements at the index."""
    key, adds = equation.parameters["key"], equation.name == "scatter_add"
    basic = is_basic(key) and not any(True for _ in variables_in(key))
    views: dict[Any, View] | None = {} if basic else _index_views(lowering, equation)
    if views is None:
        return False
    value = lowering.value(equation.inputs[-1])
    rest = (
        elements.literal(Literal(0, (), equation.output.dtype))
        if adds
        else lowering.value(equation.inputs[0])
    )
    places = None if basic else Places(key, equation.output.shape, views)
    if places is not None:
        places.check(lowering.code)
    out = lowering.destination(equation.output)
    lowering.fill(out, broadcast(rest, out.shape))
    if places is None:
        window = sliced(out, key)
        assert isinstance(window, View)
        lowering.fill(window, _fitted(value, window.shape))
        return True
    shape = tuple(places.result)
    element, code = _fitted(value, shape), lowering.code

    def one(idx: tuple[Any, ...]) -> None:
        where = places.at(code, idx)
        new = converted(code, element.at(code, idx), element.dtype, out.dtype)
        if adds:
            new = elements.PLAIN["add"](code, out.dtype, out.at(code, where), new)
        out.store(code, where, new)

    code.nest(shape, range(len(shape)), one)
    return True


def _fitted(value: Value, shape: Shape) -> Value:
    """A value broadcast to a shape; extra leading axes of length 1 are dropped, as in NumPy's assignments."""
    while len(value.shape) > len(shape):
        value = sliced(value, 0)
    return broadcast(value, shape)


WRITERS: dict[str, Writer] = {
    "": _elementwise,
    **dict.fromkeys(MOVES, _moved), **dict.fromkeys(reductions.REDUCTIONS, _reduced),
    "argmax": _found, "argmin": _found, "cumulative_sum": _accumulated, "cumulative_prod": _accumulated,
    "concatenate": _joined, "stacked": _joined, "roll": _rolled, "scatter_add": _written, "index_update": _written,
    "matmul": multiply_arrays, "contraction": multiply_arrays, "convolution": convolve,
    "convolution_transposed": convolve_transposed, "convolution_weights": convolve_weights, "patches": take_patches,
    "patches_added": add_patches,
}  # fmt: skip


def lowered(graph: Graph, name: str, assume_finite: bool = False, stamps: Stamps | None = None) -> Lowered:
    """The graph as native code, with the name of its function; with `stamps`, it notes the time as it goes."""
    return Lowering(graph, name, WRITERS, assume_finite, stamps).run()
