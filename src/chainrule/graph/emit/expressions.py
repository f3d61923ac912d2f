"""Each primitive as an expression of NumPy, with brackets only where they are needed."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from chainrule.errors import UnsupportedError
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.graph.textbook import RELU
from chainrule.rules.elementwise import divide, multiply
from chainrule.rules.index import is_basic

COMPARE, OR, XOR, AND, SHIFT, SUM, PRODUCT, SIGN, POWER, WHOLE = range(10)


LARGEST, LONGEST = 16, 60
"""An array of more elements, or with a longer text, is no part of an expression."""

LARGEST_DIVISOR = 10**6
"""Up to here, 0.333... is written as 1 / 3."""


class Text(NamedTuple):
    """An expression, how tightly it holds together, and the list that it is an array of, if it is one."""

    text: str
    holds: int = WHOLE
    elements: str = ""

    def within(self, holds: int) -> str:
        """The expression as a part of one that holds so tightly."""
        return self.text if self.holds >= holds else f"({self.text})"


_BINARY = {
    "add": ("+", SUM), "subtract": ("-", SUM), "multiply": ("*", PRODUCT), "divide": ("/", PRODUCT),
    "matmul": ("@", PRODUCT), "floor_divide": ("//", PRODUCT), "remainder": ("%", PRODUCT), "pow": ("**", POWER),
    "bitwise_and": ("&", AND), "bitwise_or": ("|", OR), "bitwise_xor": ("^", XOR),
    "bitwise_left_shift": ("<<", SHIFT), "bitwise_right_shift": (">>", SHIFT),
    "equal": ("==", COMPARE), "not_equal": ("!=", COMPARE), "less": ("<", COMPARE),
    "less_equal": ("<=", COMPARE), "greater": (">", COMPARE), "greater_equal": (">=", COMPARE),
}  # fmt: skip
_UNARY = {"negative": "-", "positive": "+", "bitwise_invert": "~"}

_SAME_IN_NUMPY = (
    "square sqrt cbrt fmod exp expm1 exp2 log log1p log2 log10 logaddexp logaddexp2 sin cos tan sinh cosh tanh hypot "
    "sinc abs sign floor ceil trunc copysign heaviside maximum minimum fmax fmin where logical_and logical_or "
    "logical_xor logical_not isfinite isinf isnan signbit nextafter flip roll triu tril any all argmax argmin "
    "count_nonzero searchsorted sum mean prod max min round nonzero"
)
_IN_NUMPY = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "inv": "linalg.inv", "det": "linalg.det", "solve": "linalg.solve",
    "cholesky": "linalg.cholesky", "eigh": "linalg.eigh", "slogdet": "linalg.slogdet", "tall_qr": "linalg.qr",
    "pinv": "linalg.pinv", "limit": "clip", "finite": "nan_to_num", "cumulative_sum": "cumsum",
    "cumulative_prod": "cumprod",
} | dict(zip(*[_SAME_IN_NUMPY.split()] * 2, strict=True))  # fmt: skip
_ALWAYS_GIVEN = {"cumulative_sum": "axis", "cumulative_prod": "axis"}
"""Parameters that are written even where they have their default, because NumPy has another one."""

_TEMPLATES = {
    "reciprocal": ("1 / {x:power}", PRODUCT),
    "astype": ("np.asarray({x}, np.{dtype})", WHOLE),
    "copy": ("np.array({x})", WHOLE),
    "detached": ("{x}", WHOLE),
    "alias": ("{x}", WHOLE),
    "argsort": ('np.argsort({x}, {axis}, "stable")', WHOLE),
    "affine": ("{x:product} @ {w:whole}.T + {b:product}", SUM),
    "linear": ("{x:product} @ {w:power} + {b:product}", SUM),
    "logit": ("np.log({x}) - np.log1p(-{x:power})", SUM),
    "mean_squared_error": ("np.mean(({x} - {y:product}) ** 2)", WHOLE),
    "negative_log_likelihood": ("-np.mean(np.take_along_axis({x}, {labels}[..., None], axis=-1))", SIGN),
    "cross_entropy_of_labels": (
        "-np.mean(np.take_along_axis(log_softmax({x}), {labels}[..., None], axis=-1))",
        SIGN,
    ),
    "index_update": ("index_update({x}, {y}, {key})", WHOLE),
    "thin_svd": ("np.linalg.svd({x}, full_matrices=False)", WHOLE),
    "cofactors": ("cofactors({x})", WHOLE),
    "polygamma": ("polygamma({n}, {x}, np)", WHOLE),
    "cross_entropy_of_logits": ("cross_entropy({x}, {y}{how})", WHOLE),
    "log_sigmoid": ("log_sigmoid({z})", WHOLE),
    "binary_cross_entropy": ("binary_cross_entropy({z}, {y})", WHOLE),
}
_TEMPLATES |= {name: (f"np.{name}({{x}}{{how}})", WHOLE) for name in ("var", "std")}
_TEMPLATES |= {name: (f"{name}({{x}}, np)", WHOLE) for name in ("erf", "erfinv", "lgamma", "digamma")}
_TEMPLATES |= {
    name: (f"{name}({{inputs}}{{how}})", WHOLE)
    for name in (
        "softplus", "softmax", "log_softmax", "logsumexp", "patches", "patches_added",
    )
}  # fmt: skip
_RENAMED = {"var": {"correction": "ddof"}, "std": {"correction": "ddof"}}
_LEVELS = {"sum": SUM, "product": PRODUCT, "sign": SIGN, "power": POWER, "whole": WHOLE}


class Writer:
    """Equations as expressions, given the expressions of what they need."""

    def __init__(self, texts: dict[Variable, Text]) -> None:
        self.texts = texts

    def atom(self, atom: Atom, weak: bool = False) -> Text:
        """An input; with `weak`, next to an array that gives the result its type."""
        return literal_text(atom, weak) if isinstance(atom, Literal) else self.texts[atom]

    def expression(self, equation: Equation) -> Text:
        """The right side of an equation."""
        name = equation.name
        if name in _BINARY:
            return self._binary(equation)
        if name in _UNARY:
            return Text(_UNARY[name] + self.atom(equation.inputs[0]).within(SIGN), SIGN)
        special = _SPECIAL.get(name)
        if special is not None:
            return special(self, equation)
        inputs = self._inputs(equation)
        if name in _TEMPLATES:
            return self._template(equation, inputs)
        if name not in _IN_NUMPY:
            raise UnsupportedError(f"there is no NumPy source for the primitive {equation.primitive.text}")
        how = self.how(equation)
        return Text(f"np.{_IN_NUMPY[name]}({', '.join(t.text for t in inputs)}{how})")

    def _inputs(self, equation: Equation) -> list[Text]:
        typed = any(
            isinstance(a, Variable) and a.dtype == equation.outputs[0].dtype and a.dtype.kind == "f"
            for a in equation.inputs
        )
        return [self.atom(a, weak=typed) for a in equation.inputs]

    def _binary(self, equation: Equation) -> Text:
        sign, holds = _BINARY[equation.name]
        typed = [isinstance(a, Variable) and a.dtype.kind == "f" for a in equation.inputs]
        left, right = (self.atom(a, weak=any(typed)) for a in equation.inputs)
        if holds == POWER:  # binds to the right, and tighter than a sign on its left
            return Text(f"{left.within(WHOLE)} ** {right.within(SIGN)}", POWER)
        if equation.name == "multiply" and isinstance(equation.inputs[0], Literal) and "@" not in right.text:
            return Text(f"{left.within(holds)} {sign} {right.within(holds)}", holds)  # 2 * a * b
        if equation.name == "add" and isinstance(equation.inputs[1], Literal) and right.text.startswith("-"):
            return Text(f"{left.within(holds)} - {right.text[1:]}", holds)  # x + -3
        first = holds + 1 if holds == COMPARE else holds
        return Text(f"{left.within(first)} {sign} {right.within(holds + 1)}", holds)

    def _template(self, equation: Equation, inputs: list[Text]) -> Text:
        template, holds = _TEMPLATES[equation.name]
        names = equation.primitive.inputs
        parts: dict[str, Any] = {n: _Placed(t) for n, t in zip(names, inputs, strict=True)}
        parts |= {n: (self.key if n == "key" else self.parameter)(p) for n, p in equation.parameters.items()}
        parts |= {"how": self.how(equation), "inputs": ", ".join(t.text for t in inputs)}
        if "dtype" in equation.parameters:
            parts["dtype"] = np.dtype(equation.parameters["dtype"]).name
        return Text(template.format(**parts), holds)

    def how(self, equation: Equation) -> str:
        """The parameters as keywords, those that have their default left out."""
        defaults, name = equation.primitive.defaults, equation.name
        renamed = _RENAMED.get(name, {})
        given = {n: _plain_axis(equation, p) if n == "axis" else p for n, p in equation.parameters.items()}
        return "".join(
            f", {renamed.get(n, n)}={self.parameter(p)}"
            for n, p in given.items()
            if n == _ALWAYS_GIVEN.get(name) or n not in defaults or not _equal(p, defaults[n])
        )

    def parameter(self, value: Any) -> str:
        """A parameter of a call: an axis, a shape, an index."""
        if isinstance(value, Variable):
            return self.texts[value].text
        if isinstance(value, tuple):
            parts = [self.parameter(p) for p in value]
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if isinstance(value, np.generic):
            return repr(value.item())
        return "..." if value is ... else repr(value)

    def index(self, key: Any) -> str:
        """What stands between square brackets."""
        if isinstance(key, tuple) and key:
            parts = [self._index_part(k) for k in key]
            return ", ".join(parts[:-1] if len(parts) > 1 and key[-1] is ... else parts)
        return self._index_part(key)

    def key(self, key: Any) -> str:
        """An index as an argument of a call."""
        slices = any(isinstance(k, slice) for k in (key if isinstance(key, tuple) else (key,)))
        return f"np.s_[{self.index(key)}]" if slices else self.parameter(key)

    def _index_part(self, key: Any) -> str:
        if isinstance(key, slice):
            start, stop = ("" if v is None else str(int(v)) for v in (key.start, key.stop))
            return f"{start}:{stop}" + ("" if key.step is None else f":{int(key.step)}")
        return self.parameter(key)


def _plain_axis(equation: Equation, axis: Any) -> Any:
    """(0,) is 0, and all axes are None, where that is the default."""
    count = len(equation.inputs[0].shape)
    if isinstance(axis, tuple) and equation.name != "roll":  # whose None is the flattened array
        if len(set(axis)) == count and equation.primitive.defaults.get("axis", 0) is None:
            return None
        return axis[0] if len(axis) == 1 else axis
    return axis


def _equal(value: Any, default: Any) -> bool:
    if isinstance(value, (bool, str, tuple)) or isinstance(default, (bool, str, tuple)) or default is None:
        return type(value) is type(default) and value == default
    return isinstance(value, (int, float)) and value == default


class _Placed(str):
    """An expression in a template, bracketed as its place demands: `{x}` or `{x:power}`."""

    __slots__ = ("expression",)
    expression: Text

    def __new__(cls, expression: Text) -> _Placed:
        placed = super().__new__(cls, expression.text)
        placed.expression = expression
        return placed

    def __format__(self, level: str) -> str:
        return self.expression.within(_LEVELS[level]) if level else str(self)


# the expressions that no template can write ----------------------------------------------------------------


def _getitem(w: Writer, equation: Equation) -> Text:
    return Text(f"{w.atom(equation.inputs[0]).within(WHOLE)}[{w.index(equation.parameters['key'])}]")


def _scatter_add(w: Writer, equation: Equation) -> Text:
    key, shape = equation.parameters["key"], equation.parameters["shape"]
    function = "placed" if is_basic(key) else "scatter_add"
    return Text(f"{function}({w.atom(equation.inputs[0]).text}, {w.key(key)}, {w.parameter(shape)})")


def _p_norm(w: Writer, equation: Equation) -> Text:
    """NumPy's own where it means the same: Euclid's, of vectors or of all elements."""
    axis, x = equation.parameters["axis"], equation.inputs[0]
    usual = equation.parameters["ord"] == 2 and equation.output.dtype in (np.float32, np.float64)
    vectors = axis is None or isinstance(axis, int) or len(axis) in (1, len(x.shape))
    function = "np.linalg.norm" if usual and vectors else "p_norm"
    return Text(f"{function}({w.atom(x).text}{w.how(equation)})")


def _permute_dims(w: Writer, equation: Equation) -> Text:
    x = w.atom(equation.inputs[0])
    count = len(equation.output.shape)
    axes = tuple(a % count for a in equation.parameters["axes"])
    if axes == tuple(range(count))[::-1]:
        return Text(f"{x.within(WHOLE)}.T")
    if axes == (*range(count - 2), count - 1, count - 2):
        return Text(f"{x.within(WHOLE)}.mT")
    return Text(f"np.transpose({x.text}, {axes})")


def _matrix_transpose(w: Writer, equation: Equation) -> Text:
    ending = "T" if len(equation.output.shape) == 2 else "mT"
    return Text(f"{w.atom(equation.inputs[0]).within(WHOLE)}.{ending}")


def _reshape(w: Writer, equation: Equation) -> Text:
    x, old, new = w.atom(equation.inputs[0]), equation.inputs[0].shape, equation.output.shape
    key = new_axes(old, new)
    if old and key:
        return Text(f"{x.within(WHOLE)}[{key}]")
    return Text(f"np.reshape({x.text}, {new})")


def new_axes(old: tuple[int, ...], new: tuple[int, ...]) -> str:
    """The index that adds axes of length 1; "" where that is not all that a reshape does.

    >>> new_axes((3, 4), (3, 1, 4)), new_axes((12,), (3, 4))
    (':, None, :', '')
    """
    lengths, parts = list(old), []
    for n in new:
        if lengths and lengths[0] == n:
            parts.append(":")
            lengths.pop(0)
        elif n == 1:
            parts.append("None")
        else:
            return ""
    return "" if lengths else ", ".join(parts)


def _broadcast_to(w: Writer, equation: Equation) -> Text:
    return Text(f"np.full({equation.output.shape}, {w.atom(equation.inputs[0]).text})")


def _joined(function: str) -> Callable[[Writer, Equation], Text]:
    def write(w: Writer, equation: Equation) -> Text:
        parts = ", ".join(w.atom(a).text for a in equation.inputs)
        axis = equation.parameters["axis"]
        return Text(f"np.{function}([{parts}]{f', axis={axis}' if axis else ''})")

    return write


def _convolution(w: Writer, equation: Equation) -> Text:
    """A convolution, without the parameters that do nothing, and one number for all axes where they agree."""
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    parts = [w.atom(a).text for a in equation.inputs]
    for name, value in equation.parameters.items():
        numbers = set(value) if isinstance(value, tuple) else {value}
        if name not in usual or len(numbers) > 1:
            parts.append(f"{name}={w.parameter(value)}")
        elif numbers != {usual[name]}:
            parts.append(f"{name}={w.parameter(numbers.pop())}")
    return Text(f"{equation.name}({', '.join(parts)})")


def _stacked(w: Writer, equation: Equation) -> Text:
    parts = [w.atom(a) for a in equation.inputs]
    if equation.parameters["axis"] == 0:
        single = [t.text if not a.shape else t.elements for a, t in zip(equation.inputs, parts, strict=True)]
        if all(single):
            elements = f"[{', '.join(single)}]"
            return Text(f"np.array({elements})", WHOLE, elements)
    return _joined("stack")(w, equation)


def _contraction(w: Writer, equation: Equation) -> Text:
    parts = ", ".join(w.atom(a).text for a in equation.inputs)
    return Text(f'np.einsum("{equation.parameters["subscripts"]}", {parts})')


def _where(w: Writer, equation: Equation) -> Text:
    condition, x, y = equation.inputs
    typed = any(isinstance(a, Variable) and a.dtype == equation.output.dtype for a in (x, y))
    parts = [w.atom(condition), w.atom(x, weak=typed), w.atom(y, weak=typed)]
    return Text(f"np.where({', '.join(p.text for p in parts)})")


def _sigmoid(w: Writer, equation: Equation) -> Text:
    z = w.atom(equation.inputs[0])
    if equation.output.dtype == np.float16:  # the helper's exp(40) is too large for it
        return Text(f"1 / (1 + np.exp(-{z.within(POWER)}))", PRODUCT)
    return Text(f"sigmoid({z.text})")


def _relu(w: Writer, equation: Equation) -> Text:
    z, spelling = w.atom(equation.inputs[0]).text, equation.parameters.get("spelling")
    return Text(f"relu({z})" if spelling is None else RELU[spelling][0].format(z=z))


def _squared_error(w: Writer, equation: Equation) -> Text:
    squares = f"{w.atom(equation.inputs[0]).within(WHOLE)} ** 2"
    return Text(f"np.{'mean' if equation.parameters['mean'] else 'sum'}({squares})")


def _standardized_by(w: Writer, equation: Equation) -> Text:
    """The last step, as the user wrote it."""
    last = multiply if equation.parameters.get("inverse") else divide
    return w.expression(Equation(last, equation.inputs[:2], {}, equation.outputs))


_SPECIAL: dict[str, Callable[[Writer, Equation], Text]] = {
    "sigmoid": _sigmoid, "relu": _relu, "squared_error": _squared_error,
    "standardized_by": _standardized_by, "standardized_with_margin": _standardized_by,
    "getitem": _getitem, "scatter_add": _scatter_add, "p_norm": _p_norm,
    "permute_dims": _permute_dims, "matrix_transpose": _matrix_transpose, "reshape": _reshape,
    "broadcast_to": _broadcast_to, "concatenate": _joined("concatenate"),
    "stacked": _stacked, "convolution": _convolution, "convolution_transposed": _convolution,
    "convolution_weights": _convolution, "contraction": _contraction, "where": _where,
}  # fmt: skip


# numbers and arrays ----------------------------------------------------------------------------------------


def literal_text(value: Literal, weak: bool = False) -> Text:
    """A number; at every place of an array, if it has a shape."""
    number = _number(value, weak)
    kind = "" if value.dtype in (None, np.float64) else f", dtype=np.{value.dtype}"
    if value.shape:
        named = {0: "zeros", 1: "ones"}.get(value.number if not isinstance(value.number, bool) else -1)
        shape = repr(value.shape) if len(value.shape) != 1 else str(value.shape[0])
        return Text(f"np.{named}({shape}{kind})" if named else f"np.full({shape}, {number.text}{kind})")
    if value.dtype is not None and value.dtype not in (np.float64, np.int64, np.bool_):
        return Text(f"np.{value.dtype}({number.text})")
    return number


def _number(value: Literal, weak: bool) -> Text:
    number = value.number
    if isinstance(number, Fraction):
        return Text(f"{number.numerator} / {number.denominator}", PRODUCT)
    if isinstance(number, float) and not math.isfinite(number):
        return (
            Text("np.nan") if math.isnan(number) else Text("np.inf") if number > 0 else Text("-np.inf", SIGN)
        )
    if isinstance(number, bool):
        return Text(repr(number))
    if weak and isinstance(number, float) and number.is_integer() and abs(number) < 1e6:
        number = int(number) if number or math.copysign(1, number) == 1 else number
    elif not weak and isinstance(number, int) and value.dtype is not None and value.dtype.kind == "f":
        number = float(number)
    written = _as_written(number) if isinstance(number, float) else None
    negative = number < 0 or (number == 0 and math.copysign(1, number) < 0)
    return written or Text(repr(number), SIGN if negative else WHOLE)


def _as_written(number: float) -> Text | None:
    """A number with many digits, as the user is likely to have written it: 1 - 0.9, 1 / 3, -1e9."""
    if len(repr(number)) <= 10:
        return None
    if 0 < number < 1:
        less = round(1 - number, 9)
        if 1 - less == number:
            return Text(f"1 - {less!r}", SUM)
        below = round(1 / number)
        if 1 / below == number and below < LARGEST_DIVISOR:
            return Text(f"1 / {below}", PRODUCT)
    if number.is_integer():
        digits, _, exponent = f"{number:e}".partition("e")
        short = f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
        return Text(short, SIGN if number < 0 else WHOLE) if float(short) == number else None
    return None


def array_text(array: np.ndarray) -> str | None:
    """A small or regular array as an expression; None for one that has to be given from outside.

    >>> array_text(np.arange(100)), array_text(np.eye(2)), array_text(np.array([1.5, 2.0]))
    ('np.arange(100)', 'np.eye(2)', 'np.array([1.5, 2.0])')
    """
    kind = "" if array.dtype in (np.float64, np.int64, np.bool_) else f", dtype=np.{array.dtype}"
    if (
        array.ndim == 1
        and array.dtype == np.int64
        and array.size > 2
        and (array == np.arange(array.size)).all()
    ):
        return f"np.arange({array.size})"
    square = array.ndim == 2 and array.dtype.kind == "f" and array.shape[0] == array.shape[1] > 1
    if square and (array == np.eye(len(array))).all():
        return f"np.eye({len(array)}{kind})"
    if array.size == 0:
        return f"np.empty({array.shape}, np.{array.dtype})"
    if array.size > LARGEST:
        return None
    text = repr(array.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}{kind})" if len(text) <= LONGEST else None
