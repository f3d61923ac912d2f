"""How each primitive is written in ONNX: one table, from its name to the nodes that compute it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.errors import UnsupportedError
from chainrule.export.formulas import call, cube_root, expm1, log1p, log_add_exp, remainder, softplus, where
from chainrule.export.values import Nodes, Value
from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.ir import Equation, Literal, Variable, variables_in
from chainrule.lines import described_place
from chainrule.rules.convolution import Lengths
from chainrule.rules.reduce import axes_of

Row = Callable[..., Value]
"""From the nodes, the equation and its inputs to its output."""

LEAST = -(2**63) + 1


def written(nodes: Nodes, equation: Equation, inputs: list[Value], index: Callable[[Any], Value]) -> Value:
    """The output of an equation, after its nodes were added.

    Raises:
        UnsupportedError: there are no nodes for its primitive, or for the way in which it is used.
    """
    row = OPERATORS.get(equation.name) if is_ours(equation.primitive) else None
    if row is None:
        raise unsupported(equation)
    dtype = np.dtype(equation.output.dtype)
    if "c" in {value.dtype.kind for value in inputs} | {dtype.kind}:
        raise unsupported(equation, "of complex numbers ")
    given = [index, *inputs] if row is _at else inputs
    return row(nodes, equation, *given).to(dtype)


def unsupported(equation: Equation, how: str = "") -> UnsupportedError:
    """The refusal of an equation, with its line."""
    where = f"\n  at {described_place(equation.place)}" if equation.place is not None else ""
    return UnsupportedError(
        f"{equation.primitive.name} {how}cannot be exported to ONNX{where}\n"
        f"ONNX can be made of {', '.join(sorted(OPERATORS))}."
    )


# elementwise --------------------------------------------------------------------------------------------------


def _common(equation: Equation, inputs: tuple[Value, ...]) -> list[Value]:
    """The inputs in the type in which NumPy compares or adds them; Python's numbers have none of their own."""
    atoms = [
        a.value if isinstance(a, Literal) and a.dtype is None and not a.shape else np.dtype(a.dtype or float)
        for a in equation.inputs
    ]
    common = np.result_type(*atoms)
    return [value.to(common) for value in inputs]


def _elementwise(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, *inputs: Value) -> Value:
        return nodes.node(operator, *(value.to(equation.output.dtype) for value in inputs))

    return row


def _comparison(operator: str, negated: bool = False) -> Row:
    def row(nodes: Nodes, equation: Equation, *inputs: Value) -> Value:
        common = [x.to(np.int64) if x.dtype == np.bool_ else x for x in _common(equation, inputs)]
        found = nodes.node(operator, *common).seen_as(np.bool_)
        return nodes.node("Not", found) if negated else found

    return row


def _logical(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, *inputs: Value) -> Value:
        return nodes.node(operator, *(x.to(np.bool_) for x in inputs))

    return row


def _test(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, x: Value) -> Value:
        return nodes.node(operator, x if x.dtype.kind == "f" else x.to(np.float64)).seen_as(np.bool_)

    return row


def _formula(formula: Callable[..., Value]) -> Row:
    """A function made of others, in the type of the output."""

    def row(nodes: Nodes, equation: Equation, *inputs: Value) -> Value:
        return formula(*(value.to(equation.output.dtype) for value in inputs))

    return row


def _rounded(nodes: Nodes, equation: Equation, x: Value) -> Value:
    decimals = equation.parameters.get("decimals", 0)
    if x.dtype.kind != "f":
        if decimals < 0:
            raise unsupported(equation, "of whole numbers to tens ")
        return x
    power: float = 10.0 ** abs(decimals)
    if not decimals:
        return nodes.node("Round", x)
    if decimals > 0:
        return nodes.node("Round", x * power) / power
    return nodes.node("Round", x / power) * power


def _finite(nodes: Nodes, equation: Equation, x: Value) -> Value:
    how, limits = equation.parameters, np.finfo(x.dtype) if x.dtype.kind == "f" else None
    if limits is None:
        return x
    high = limits.max if how.get("posinf") is None else how["posinf"]
    low = limits.min if how.get("neginf") is None else how["neginf"]
    for test, instead in ((math.inf, high), (-math.inf, low)):
        value = nodes.constant(np.array(instead, x.dtype))
        x = where(x.compared("Equal", test), value, x)
    missing = nodes.node("IsNaN", x).seen_as(np.bool_)
    return where(missing, nodes.constant(np.array(how.get("nan", 0.0), x.dtype)), x)


def _selected(nodes: Nodes, equation: Equation, condition: Value, x: Value, y: Value) -> Value:
    dtype = equation.output.dtype
    return where(condition.to(np.bool_), x.to(dtype), y.to(dtype))


def _rectified(nodes: Nodes, equation: Equation, x: Value) -> Value:
    return nodes.node("Max", x, nodes.constant(np.array(0, x.dtype)))


# reductions ---------------------------------------------------------------------------------------------------


def _reduction(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, x: Value) -> Value:
        dtype = np.dtype(equation.output.dtype)
        return _reduced(nodes, equation, operator, x.to(np.int64 if dtype == np.bool_ else dtype))

    return row


def _reduced(nodes: Nodes, equation: Equation, operator: str, x: Value) -> Value:
    how = equation.parameters
    axes = axes_of(how.get("axis"), len(equation.inputs[0].shape))
    if not axes:
        return nodes.node("Identity", x)
    return nodes.node(operator, x, nodes.integers(*axes), keepdims=int(how.get("keepdims", False)))


def _truth(operator: str) -> Row:
    return lambda nodes, equation, x: _reduced(nodes, equation, operator, x.to(np.bool_).to(np.int64))


def _counted(nodes: Nodes, equation: Equation, x: Value) -> Value:
    return _reduced(nodes, equation, "ReduceSum", x.to(np.bool_).to(np.int64))


def _arg(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, x: Value) -> Value:
        axis, keepdims = equation.parameters.get("axis"), bool(equation.parameters.get("keepdims"))
        if x.dtype == np.bool_:
            x = x.to(np.int64)
        if axis is None:
            x, axis = nodes.node("Reshape", x, nodes.integers(-1)), 0
            found = nodes.node(operator, x, axis=0, keepdims=0).seen_as(np.int64)
            shape = (1,) * len(equation.inputs[0].shape) if keepdims else ()
            return nodes.node("Reshape", found, nodes.integers(*shape))
        return nodes.node(operator, x, axis=axis, keepdims=int(keepdims)).seen_as(np.int64)

    return row


def _cumulated(nodes: Nodes, equation: Equation, x: Value) -> Value:
    axis = equation.parameters.get("axis", -1)
    x = x.to(equation.output.dtype)
    if axis is None:
        x, axis = nodes.node("Reshape", x, nodes.integers(-1)), 0
    return nodes.node(
        "CumSum", x, nodes.constant(np.array(axis % max(len(equation.output.shape), 1), np.int64))
    )


def _along_axis(operator: str) -> Row:
    def row(nodes: Nodes, equation: Equation, x: Value) -> Value:
        axis = equation.parameters.get("axis", -1)
        if isinstance(axis, tuple):
            raise unsupported(equation, "over several axes ")
        return nodes.node(operator, x.to(equation.output.dtype), axis=axis)

    return row


# products -----------------------------------------------------------------------------------------------------


def _product(nodes: Nodes, equation: Equation, x: Value, w: Value, b: Value | None = None) -> Value:
    dtype = equation.output.dtype
    product = nodes.node("MatMul", x.to(dtype), w.to(dtype))
    return product if b is None else product + b.to(dtype)


def _affine(nodes: Nodes, equation: Equation, x: Value, w: Value, b: Value) -> Value:
    return _product(nodes, equation, x, nodes.node("Transpose", w, perm=[1, 0]), b)


def _contracted(nodes: Nodes, equation: Equation, *operands: Value) -> Value:
    given = [operand.to(equation.output.dtype) for operand in operands]
    return nodes.node("Einsum", *given, equation=equation.parameters["subscripts"])


def _each(lengths: Lengths | int, count: int) -> list[int]:
    return [int(n) for n in np.broadcast_to(lengths, count)]


def _convolved(nodes: Nodes, equation: Equation, x: Value, w: Value) -> Value:
    how, count = equation.parameters, len(equation.inputs[0].shape) - 2
    return nodes.node(
        "Conv", x, w, strides=_each(how["stride"], count), pads=2 * _each(how["padding"], count),
        dilations=_each(how["dilation"], count), group=int(how.get("groups", 1)),
    )  # fmt: skip


def _convolved_back(nodes: Nodes, equation: Equation, y: Value, w: Value) -> Value:
    how, space = equation.parameters, equation.parameters["space"]
    stride, padding, dilation = (_each(how[n], len(space)) for n in ("stride", "padding", "dilation"))
    places, kernel = equation.inputs[0].shape[2:], equation.inputs[1].shape[2:]
    filled = [
        (n - 1) * s + d * (k - 1) + 1 - 2 * p
        for n, s, d, k, p in zip(places, stride, dilation, kernel, padding, strict=True)
    ]
    return nodes.node(
        "ConvTranspose", y, w, strides=stride, pads=2 * padding, dilations=dilation, group=int(how.get("groups", 1)),
        output_padding=[int(n - f) for n, f in zip(space, filled, strict=True)],
    )  # fmt: skip


def _covered(nodes: Nodes, equation: Equation, x: Value) -> Value:
    """What a kernel covers at each place: the elements of the padded space, taken by their numbers."""
    how, shape = equation.parameters, equation.inputs[0].shape
    kernel = tuple(how["kernel"])
    stride, padding, dilation = (_each(how[n], len(kernel)) for n in ("stride", "padding", "dilation"))
    places = equation.output.shape[2 + len(kernel) :]
    if any(padding):
        pads = nodes.integers(*(2 * [0, 0, *padding]))
        x = nodes.node("Pad", x, pads)
    whole = [n + 2 * p for n, p in zip(shape[2:], padding, strict=True)]
    inside, at = np.indices(kernel), np.indices(places)
    numbers = np.zeros((*kernel, *places), np.int64)
    for axis, length in enumerate(whole):
        part = np.add.outer(inside[axis] * dilation[axis], at[axis] * stride[axis])
        numbers = numbers * length + part
    flat = nodes.node("Reshape", x, nodes.integers(0, 0, -1))
    return nodes.node("Gather", flat, nodes.constant(numbers), axis=2)


# shapes -------------------------------------------------------------------------------------------------------


def _reshaped(nodes: Nodes, equation: Equation, x: Value) -> Value:
    before, after = equation.inputs[0].shape, equation.output.shape
    kept = 0
    while kept < min(len(before), len(after)) and before[kept] == after[kept] != 0:
        kept += 1
    # A length that stays is copied (0), so that the graph may be run with more rows.
    return nodes.node("Reshape", x, nodes.integers(*(0,) * kept, *after[kept:]))


def _permuted(nodes: Nodes, equation: Equation, x: Value) -> Value:
    count = len(equation.inputs[0].shape)
    axes = equation.parameters.get("axes", (*range(count - 2), count - 1, count - 2))
    return nodes.node("Transpose", x, perm=[int(a) % count for a in axes])


def _joined(nodes: Nodes, equation: Equation, *arrays: Value) -> Value:
    parts = [array.to(equation.output.dtype) for array in arrays]
    axis = equation.parameters.get("axis", 0)
    if equation.name == "stacked":
        place = nodes.integers(axis % len(equation.output.shape))
        parts = [nodes.node("Unsqueeze", part, place) for part in parts]
    return nodes.node("Concat", *parts, axis=axis)


def _spread(nodes: Nodes, equation: Equation, x: Value) -> Value:
    return nodes.node("Expand", x, nodes.integers(*equation.output.shape))


def _flipped(nodes: Nodes, equation: Equation, x: Value) -> Value:
    axes = axes_of(equation.parameters.get("axis"), len(equation.output.shape))
    if not axes:
        return nodes.node("Identity", x)
    count = len(axes)
    ends = (nodes.integers(*(-1,) * count), nodes.integers(*(LEAST,) * count))
    return nodes.node("Slice", x, *ends, nodes.integers(*axes), nodes.integers(*(-1,) * count))


def _triangle(nodes: Nodes, equation: Equation, x: Value) -> Value:
    offset = nodes.constant(np.array(equation.parameters.get("k", 0), np.int64))
    return nodes.node("Trilu", x, offset, upper=int(equation.name == "triu"))


def _same(nodes: Nodes, equation: Equation, x: Value) -> Value:
    return x


def _sorted(output: int) -> Row:
    def row(nodes: Nodes, equation: Equation, x: Value) -> Value:
        shape, axis = equation.inputs[0].shape, equation.parameters.get("axis", -1)
        names = ["sorted", "order"]
        found = nodes.several("TopK", x, nodes.integers(shape[axis]), names=names, axis=axis, largest=0)
        return found[output].seen_as(np.int64) if output else found[0]

    return row


def _at(nodes: Nodes, equation: Equation, index: Callable[[Any], Value], x: Value) -> Value:
    """`x[key]`: numbers and slices, and an array of numbers on one axis; with a fixed key, anything."""
    key, shape = equation.parameters["key"], equation.inputs[0].shape
    parts = list(key) if isinstance(key, tuple) else [key]
    arrays = [part for part in parts if not (part is None or part is ... or _is_basic(part))]
    numbers = any(isinstance(part, int | np.integer) for part in parts)
    if len(arrays) > 1 or (arrays and numbers) or any(_is_mask(part) for part in arrays):
        if any(True for _ in variables_in(key)):
            raise unsupported(equation, "with several arrays, or a mask, as its index ")
        # All elements in one row, taken by their numbers there.
        places = np.arange(math.prod(shape)).reshape(shape)[key]
        return nodes.node("Gather", nodes.node("Reshape", x, nodes.integers(-1)), nodes.constant(places))
    if not any(part is ... for part in parts):
        parts.append(...)
    place = next(i for i, part in enumerate(parts) if part is ...)
    named = sum(part is not None for part in parts) - 1
    parts[place : place + 1] = [slice(None)] * (len(shape) - named)
    return _taken(nodes, index, x, parts, shape)


def _is_basic(part: Any) -> bool:
    return isinstance(part, slice | int | np.integer) and not isinstance(part, bool)


def _is_mask(part: Any) -> bool:
    return part.dtype == np.bool_ if isinstance(part, Variable) else np.asarray(part).dtype == np.bool_


def _taken(
    nodes: Nodes, index: Callable[[Any], Value], x: Value, parts: list[Any], shape: tuple[int, ...]
) -> Value:
    taken = [part for part in parts if part is not None]
    sliced = [
        (axis, *part.indices(shape[axis])) for axis, part in enumerate(taken)
        if isinstance(part, slice) and part != slice(None)
    ]  # fmt: skip
    if sliced:
        axes, starts, ends, steps = zip(*sliced, strict=True)
        ends = tuple(LEAST if end < 0 else end for end in ends)
        x = nodes.node("Slice", x, *(nodes.integers(*numbers) for numbers in (starts, ends, axes, steps)))
    for axis, part in reversed(list(enumerate(taken))):
        if not isinstance(part, slice):
            x = nodes.node("Gather", x, index(part), axis=axis)
    new, position = [], 0
    for part in parts:
        if part is None:
            new.append(position)
        position += _rank(part)
    return nodes.node("Unsqueeze", x, nodes.integers(*new)) if new else x


def _rank(part: Any) -> int:
    """How many axes of the result a part of an index makes."""
    if part is None or isinstance(part, slice):
        return 1
    return len(part.shape) if isinstance(part, Variable) else np.ndim(part)


# the table ----------------------------------------------------------------------------------------------------

_ELEMENTWISE = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "cos": "Cos", "cosh": "Cosh", "divide": "Div", "erf": "Erf", "exp": "Exp",
    "floor": "Floor", "log": "Log", "maximum": "Max", "minimum": "Min", "multiply": "Mul", "negative": "Neg",
    "positive": "Identity", "pow": "Pow", "reciprocal": "Reciprocal", "sign": "Sign",
    "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip

OPERATORS: Mapping[str, Row] = {
    **{name: _elementwise(operator) for name, operator in _ELEMENTWISE.items()},
    # onnxruntime's own is short of digits below -10.
    "sigmoid": _formula(lambda x: 1 / (1 + call("Exp", -x))),
    "square": _formula(lambda x: x * x),
    "exp2": _formula(lambda x: x.nodes.constant(np.array(2, x.dtype)) ** x),
    "log2": _formula(lambda x: call("Log", x) / math.log(2)),
    "log10": _formula(lambda x: call("Log", x) / math.log(10)),
    "log1p": _formula(log1p),
    "expm1": _formula(expm1),
    "cbrt": _formula(cube_root),
    "softplus": _formula(softplus),
    "logaddexp": _formula(log_add_exp),
    "hypot": _formula(lambda x, y: call("Sqrt", x * x + y * y)),
    "remainder": _formula(remainder),
    "fmod": _formula(lambda x, y: x.nodes.node("Mod", x, y, fmod=1)),
    "trunc": _formula(lambda x: call("Sign", x) * call("Floor", call("Abs", x))),
    "limit": _formula(lambda x, low, high: call("Min", call("Max", x, low), high)),
    "relu": _rectified,
    "round": _rounded,
    "finite": _finite,
    "where": _selected,
    "equal": _comparison("Equal"),
    "not_equal": _comparison("Equal", negated=True),
    "less": _comparison("Less"),
    "less_equal": _comparison("LessOrEqual"),
    "greater": _comparison("Greater"),
    "greater_equal": _comparison("GreaterOrEqual"),
    "logical_and": _logical("And"),
    "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"),
    "logical_not": _logical("Not"),
    "isnan": _test("IsNaN"),
    "isinf": _test("IsInf"),
    "isfinite": lambda nodes, equation, x: nodes.node(
        "Not", nodes.node("Or", _test("IsNaN")(nodes, equation, x), _test("IsInf")(nodes, equation, x))
    ),
    "sum": _reduction("ReduceSum"),
    "mean": _reduction("ReduceMean"),
    "prod": _reduction("ReduceProd"),
    "max": _reduction("ReduceMax"),
    "min": _reduction("ReduceMin"),
    "logsumexp": _reduction("ReduceLogSumExp"),
    "all": _truth("ReduceMin"),
    "any": _truth("ReduceMax"),
    "count_nonzero": _counted,
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "cumulative_sum": _cumulated,
    "softmax": _along_axis("Softmax"),
    "log_softmax": _along_axis("LogSoftmax"),
    "matmul": _product,
    "linear": _product,
    "affine": _affine,
    "contraction": _contracted,
    "convolution": _convolved,
    "convolution_transposed": _convolved_back,
    "patches": _covered,
    "reshape": _reshaped,
    "permute_dims": _permuted,
    "matrix_transpose": _permuted,
    "concatenate": _joined,
    "stacked": _joined,
    "broadcast_to": _spread,
    "flip": _flipped,
    "triu": _triangle,
    "tril": _triangle,
    "copy": _same,
    "astype": _same,
    "sort": _sorted(0),
    "argsort": _sorted(1),
    "getitem": _at,
}
