"""Convolutions as products over windows: views of the padded input that overlap, so nothing is copied.

The labels of a product: b (batch), g (group), o and c (channels out and in), then those of the places and the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph.emit.llvm.code import widest
from chainrule.graph.emit.llvm.elements import converted, literal
from chainrule.graph.emit.llvm.moves import sliced
from chainrule.graph.emit.llvm.multiplying import estimated, write_product
from chainrule.graph.emit.llvm.products import Operand
from chainrule.graph.emit.llvm.program import Lowering, work_of
from chainrule.graph.emit.llvm.values import Value, View, broadcast, strides_of
from chainrule.graph.ir import Equation, Literal
from chainrule.typing import Shape

PLACES, KERNEL = "pqrst", "uvwxy"
Lengths = tuple[int, ...]


def _zeros(lowering: Lowering, dtype: Any, shape: Shape) -> View:
    view = lowering.new(dtype, shape, range(len(shape)))
    lowering.fill(view, broadcast(literal(Literal(0, (), view.dtype)), shape))
    return view


def _spread_out(
    lowering: Lowering, x: Value, dtype: Any, before: Lengths, after: Lengths, step: Lengths
) -> View:
    """A copy in zeros: `before` and `after` so many of them, elements `step` apart."""
    space = x.shape[2:]
    lengths = [b + (n - 1) * s + 1 + a for n, b, a, s in zip(space, before, after, step, strict=True)]
    whole = _zeros(lowering, dtype, (*x.shape[:2], *lengths))
    inside = [slice(b, b + (n - 1) * s + 1, s) for n, b, s in zip(space, before, step, strict=True)]
    window = sliced(whole, (..., *inside))
    assert isinstance(window, View)
    lowering.fill(window, x)
    return whole


def windows(
    view: View, kernel: Lengths, places: Lengths, stride: Lengths, dilation: Lengths, groups: int
) -> View:
    """What the kernel covers at each place, as a view (batch, group, channel, *kernel, *places)."""
    batch, channel, *steps = view.strides
    each = view.shape[1] // groups
    inside = [s * d for s, d in zip(steps, dilation, strict=True)]
    between = [s * d for s, d in zip(steps, stride, strict=True)]
    shape = (view.shape[0], groups, each, *kernel, *places)
    return view.with_(shape, (batch, each * channel, channel, *inside, *between))


def _by_group(view: View, axis: int, groups: int) -> View:
    """A view whose axis of channels is split into groups."""
    n, step = view.shape[axis], view.strides[axis]
    shape = (*view.shape[:axis], groups, n // groups, *view.shape[axis + 1 :])
    strides = (*view.strides[:axis], n // groups * step, step, *view.strides[axis + 1 :])
    return view.with_(shape, strides)


def _padded(lowering: Lowering, equation: Equation, number: int, padding: Lengths) -> View:
    atom = equation.inputs[number]
    x = lowering.value(atom)
    if any(padding) or x.dtype != equation.output.dtype:
        return _spread_out(lowering, x, equation.output.dtype, padding, padding, (1,) * len(padding))
    return lowering.stored_atom(atom)


def _operand(lowering: Lowering, equation: Equation, number: int) -> View:
    return _padded(lowering, equation, number, (0,) * (len(equation.output.shape) - 2))


def _write(
    lowering: Lowering, equation: Equation, x: Operand, y: Operand, labels: str, axis: int, groups: int,
    preferred: Sequence[str],
) -> None:  # fmt: skip
    """The product into the output, in memory in the order of labels that is estimated to be the fastest."""
    out = equation.output
    given = lowering.results.get(out)

    def operand(view: View) -> Operand:
        return Operand(_by_group(view, axis, groups), labels)

    plain = labels.replace("g", "")
    orders = [tuple(plain.index(n) for n in order) for order in (plain, *preferred)]
    trials = [
        View(lowering.new(out.dtype, (0,)).memory, out.dtype, out.shape, strides_of(out.shape, o))
        for o in orders
    ]
    costs = [estimated(lowering, x, y, operand(trial)) for trial in trials]
    order = orders[costs.index(min(costs))]
    view = lowering.new(out.dtype, out.shape, order)
    write_product(lowering, x, y, operand(view))
    if given is not None:
        lowering.fill(lowering.destination(out), view)
    else:
        lowering.values[out] = view


def _is_plain(equation: Equation) -> bool:
    spatial = len(equation.output.shape) - 2
    return 0 < spatial <= len(PLACES) and equation.output.dtype.kind == "f" and 0 not in equation.output.shape


def convolve(lowering: Lowering, equation: Equation) -> bool:
    """The kernels slid over the input."""
    how, out = equation.parameters, equation.output
    count = len(out.shape) - 2
    if not _is_plain(equation):
        return False
    weights = _operand(lowering, equation, 1)
    kernel, groups = weights.shape[2:], how["groups"]
    x = windows(
        _padded(lowering, equation, 0, how["padding"]),
        kernel,
        out.shape[2:],
        how["stride"],
        how["dilation"],
        groups,
    )
    p, u = PLACES[:count], KERNEL[:count]
    _write(
        lowering, equation, Operand(x, "bgc" + u + p), Operand(_by_group(weights, 0, groups), "goc" + u),
        "bgo" + p, 1, groups, ("b" + p + "o",),
    )  # fmt: skip
    return True


def convolve_transposed(lowering: Lowering, equation: Equation) -> bool:
    """The cotangent of the input: flipped kernels slid over that of the output, spread out by the stride."""
    how, out = equation.parameters, equation.output
    if not _is_plain(equation):
        return False
    weights = _operand(lowering, equation, 1)
    y = lowering.value(equation.inputs[0])
    kernel, groups, space = weights.shape[2:], how["groups"], out.shape[2:]
    reach = [d * (k - 1) for k, d in zip(kernel, how["dilation"], strict=True)]
    before = [r - p for r, p in zip(reach, how["padding"], strict=True)]
    spans = [(n - 1) * s + 1 for n, s in zip(y.shape[2:], how["stride"], strict=True)]
    after = [n + r - b - span for n, r, b, span in zip(space, reach, before, spans, strict=True)]
    if min((*before, *after), default=0) < 0:
        return False  # more padding than the kernel reaches: some of y is cut off
    whole = _spread_out(lowering, y, out.dtype, tuple(before), tuple(after), how["stride"])
    flipped = sliced(weights, (..., *(slice(None, None, -1) for _ in kernel)))
    assert isinstance(flipped, View)
    ones = (1,) * len(space)
    window = windows(whole, kernel, space, ones, how["dilation"], groups)
    p, u = PLACES[: len(space)], KERNEL[: len(space)]
    _write(
        lowering, equation, Operand(window, "bgo" + u + p), Operand(_by_group(flipped, 0, groups), "goc" + u),
        "bgc" + p, 1, groups, ("b" + p + "c",),
    )  # fmt: skip
    return True


def convolve_weights(lowering: Lowering, equation: Equation) -> bool:
    """The cotangent of the kernels: the cotangent of the output slid over the input."""
    how = equation.parameters
    if not _is_plain(equation):
        return False
    groups, kernel = how["groups"], how["kernel"]
    y = _operand(lowering, equation, 1)
    x = windows(
        _padded(lowering, equation, 0, how["padding"]),
        kernel,
        y.shape[2:],
        how["stride"],
        how["dilation"],
        groups,
    )
    p, u = PLACES[: len(kernel)], KERNEL[: len(kernel)]
    _write(
        lowering, equation, Operand(x, "bgc" + u + p), Operand(_by_group(y, 1, groups), "bgo" + p),
        "goc" + u, 0, groups, ("c" + u + "o",),
    )  # fmt: skip
    return True


def take_patches(lowering: Lowering, equation: Equation) -> bool:
    """What the kernel covers at each place: a view, no copy."""
    how, out = equation.parameters, equation.output
    if 0 in out.shape:
        return False
    count = len(how["kernel"])
    whole = _padded_input(lowering, equation, how["padding"])
    view = windows(whole, how["kernel"], out.shape[2 + count :], how["stride"], how["dilation"], 1)
    lowering.bind(equation, view.with_(out.shape, (view.strides[0], *view.strides[2:])))
    return True


def _padded_input(lowering: Lowering, equation: Equation, padding: Lengths) -> View:
    x = lowering.value(equation.inputs[0])
    if any(padding):
        return _spread_out(lowering, x, x.dtype, padding, padding, (1,) * len(padding))
    return lowering.stored_atom(equation.inputs[0])


def add_patches(lowering: Lowering, equation: Equation) -> bool:
    """Patches put back and added up where they overlap."""
    how, out = equation.parameters, equation.output
    x = lowering.value(equation.inputs[0])
    if 0 in x.shape or 0 in out.shape or out.dtype.kind != "f":
        return False
    space = out.shape[2:]
    count = len(space)
    kernel, places = x.shape[2 : 2 + count], x.shape[2 + count :]
    whole = _zeros(
        lowering,
        out.dtype,
        (*out.shape[:2], *(n + 2 * p for n, p in zip(space, how["padding"], strict=True))),
    )
    view = windows(whole, kernel, places, how["stride"], how["dilation"], 1)
    target = view.with_(x.shape, (view.strides[0], *view.strides[2:]))
    with lowering.shared(work_of(x)) as code:

        def one(idx: tuple[Any, ...]) -> None:
            new = converted(code, x.at(code, idx), x.dtype, out.dtype)
            target.store(code, idx, code.builder.fadd(target.at(code, idx), new))

        code.nest(x.shape, (0, 1, *range(2, 2 + 2 * count)), one, shared=widest(x.shape, (0, 1)))
    inside = tuple(slice(p, p + n) for n, p in zip(space, how["padding"], strict=True))
    lowering.bind(equation, sliced(whole, (..., *inside)))
    return True
