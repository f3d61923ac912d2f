r"""Each primitive as a formula: matrix products as juxtaposition, elementwise products as `\odot`, sums with indices.

A formula is written for a whole array (`H \odot W`), or for one element of it (`H_{ij} W_{ij}`): under a sum,
for example.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

from chainrule.graph.emit import sums
from chainrule.graph.emit.formula import (
    BIG,
    COMPARE,
    FRACTION,
    NEGATIVE,
    POWER,
    PRODUCT,
    SUM,
    WHOLE,
    Formula,
    bracketed,
    power,
    product,
    quotient,
)
from chainrule.graph.emit.formulas import Formulas, Index, Writer, is_array
from chainrule.graph.emit.notation import Symbol, symbols
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.rules.elementwise import divide, multiply

__all__ = ["Latex", "equation", "expression", "symbols"]


# products, powers, fractions -------------------------------------------------------------------------------


def _add(w: Formulas, made: Equation, index: Index) -> Formula:
    left, right = (w.part(made, i, index) for i in (0, 1))
    if right.holds == NEGATIVE:
        return Formula(f"{left.within(SUM)} - {right.positive.text}", SUM)
    if left.holds == NEGATIVE:
        return Formula(f"{right.within(SUM)} - {left.positive.text}", SUM)
    return Formula(f"{left.within(SUM)} + {right.within(SUM)}", SUM)


def _subtract(w: Formulas, made: Equation, index: Index) -> Formula:
    left, right = (w.part(made, i, index) for i in (0, 1))
    if right.holds == NEGATIVE:
        return Formula(f"{left.within(SUM)} + {right.positive.text}", SUM)
    return Formula(f"{left.within(SUM)} - {right.within(BIG)}", SUM)


def _negative(w: Formulas, made: Equation, index: Index) -> Formula:
    return w.part(made, 0, index).negated()


def _multiply(w: Formulas, made: Equation, index: Index) -> Formula:
    outer = None if index is not None else _outer(w, made)
    if outer is not None:
        return outer
    x, y = made.inputs
    left, right = (w.part(made, i, index) for i in (0, 1))
    arrays = [is_array(a, index) for a in (x, y)]
    if x is y and not any(arrays):
        return power(left, "2", False)
    sum_first = left.holds == BIG != right.holds and not all(arrays)
    if arrays == [True, False] or (isinstance(y, Literal) and not isinstance(x, Literal)) or sum_first:
        left, right = right, left
    return product(left, right, r" \odot " if all(arrays) else "")


def _outer(w: Formulas, made: Equation) -> Formula | None:
    r"""`u v^\top`, written as u[:, None] * v; None for any other product."""
    for column, row in (made.inputs, made.inputs[::-1]):
        source = _column_of(w, column)
        if source is not None and len(row.shape) == 1 and made.output.shape == source.shape + row.shape:
            return Formula(f"{w.of(source).within(PRODUCT)} {w.of(row).within(POWER + 1)}^{{\\top}}", PRODUCT)
    return None


def _column_of(w: Formulas, atom: Atom) -> Atom | None:
    """The vector that was made a matrix with one column."""
    if isinstance(atom, Literal) or atom in w.named or len(atom.shape) != 2 or atom.shape[1] != 1:
        return None
    spread = w.definitions.get(atom)
    if spread is None:
        return None
    spreads = spread.name == "reshape" or spread.parameters.get("key") == (slice(None), None)
    return spread.inputs[0] if spreads and len(spread.inputs[0].shape) == 1 else None


def _matmul(w: Formulas, made: Equation, index: Index) -> Formula:
    x, y = made.inputs
    if len(x.shape) == 1 and len(y.shape) == 1:
        return w.indexed(Formula(f"{_transposed(w, x)} {w.of(y).within(PRODUCT)}", PRODUCT), index)
    if len(x.shape) == 1:  # vectors are columns
        return w.indexed(Formula(f"{_transposed(w, y)} {w.of(x).within(PRODUCT)}", PRODUCT), index)
    left, right = w.of(x), w.of(y)
    signs = [f.holds == NEGATIVE for f in (left, right)]
    text = f"{left.within(PRODUCT)} {right.within(PRODUCT)}"
    return w.indexed(Formula(text, PRODUCT) if not any(signs) else product(left, right), index)


def _transposed(w: Formulas, atom: Atom) -> str:
    made = w.definitions.get(atom) if isinstance(atom, Variable) and atom not in w.named else None
    if made is not None and _is_transpose(made):
        return w.of(made.inputs[0]).within(PRODUCT)
    return f"{w.of(atom).within(WHOLE)}^{{\\top}}"


def _is_transpose(made: Equation) -> bool:
    count = len(made.output.shape)
    axes = tuple(a % count for a in made.parameters.get("axes", ()))
    return made.name == "matrix_transpose" or (
        count > 1 and axes == (*range(count - 2), count - 1, count - 2)
    )


def _permute_dims(w: Formulas, made: Equation, index: Index) -> Formula:
    (x,) = made.inputs
    count = len(x.shape)
    default = (*range(count - 2), count - 1, count - 2)
    axes = [a % count for a in made.parameters.get("axes", default)]
    if index is not None and ":" not in index:
        back = dict(zip(axes, index, strict=True))
        return w.of(x, tuple(back[i] for i in range(count)))
    if not _is_transpose(made):
        return w.indexed(w.called(made), index)
    return w.indexed(Formula(_transposed(w, x), POWER), index)


def _pow(w: Formulas, made: Equation, index: Index) -> Formula:
    x, exponent = made.inputs
    raised = exponent.number if isinstance(exponent, Literal) else None
    if raised in (0.5, Fraction(1, 2)):
        return Formula(rf"\sqrt{{{w.part(made, 0, index).text}}}", FRACTION)
    if raised == -1:
        return Formula(rf"\frac{{1}}{{{w.part(made, 0, index).text}}}", FRACTION)
    return power(w.part(made, 0, index), w.part(made, 1, index).text, is_array(x, index))


def _square(w: Formulas, made: Equation, index: Index) -> Formula:
    return power(w.part(made, 0, index), "2", is_array(made.inputs[0], index))


def _divide(w: Formulas, made: Equation, index: Index) -> Formula:
    return quotient(w.part(made, 0, index), w.part(made, 1, index))


def _p_norm(w: Formulas, made: Equation, index: Index) -> Formula:
    if made.parameters["axis"] is not None:
        return w.indexed(w.called(made), index)
    order = w.parameter(made.parameters["ord"])
    return Formula(rf"\left\| {w.of(made.inputs[0]).text} \right\|_{{{order}}}")


# moves of elements -----------------------------------------------------------------------------------------


def _reshape(w: Formulas, made: Equation, index: Index) -> Formula:
    """New axes of length 1 are not seen in a formula."""
    (x,), new = made.inputs, made.output.shape
    if tuple(n for n in x.shape if n != 1) != tuple(n for n in new if n != 1):
        sizes = r" \times ".join(map(str, new)) or "1"
        whole = Formula(rf"\operatorname{{reshape}}_{{{sizes}}}{bracketed(w.of(x).text)}")
        return w.indexed(whole, index)
    if index is None:
        return w.of(x)
    letters = iter([i for i, n in zip(index, new, strict=True) if n != 1])
    return w.of(x, tuple("" if n == 1 else next(letters) for n in x.shape))


def _getitem(w: Formulas, made: Equation, index: Index) -> Formula:
    """Square brackets, with the places counted from 0 as in the program."""
    (x,), key = made.inputs, made.parameters["key"]
    parts = [k for k in (key if isinstance(key, tuple) else (key,)) if k is not None]
    if all((isinstance(k, slice) and k == slice(None)) or k is ... for k in parts):
        return _reshape(w, made, index)
    inside = ", ".join(w.parameter(k) for k in parts)
    return w.indexed(Formula(f"{w.of(x).within(WHOLE)}[{inside}]"), index)


def _where(w: Formulas, made: Equation, index: Index) -> Formula:
    condition, x, y = (w.part(made, i, index).text for i in range(3))
    cases = rf"{x} & \text{{if }} {condition} \\ {y} & \text{{otherwise}}"
    return Formula(rf"\begin{{cases}} {cases} \end{{cases}}", BIG)


def _joined(between: str) -> Writer:
    def write(w: Formulas, made: Equation, index: Index) -> Formula:
        whole = rf"\left[{between.join(w.of(a).text for a in made.inputs)}\right]"
        axis = made.parameters["axis"]
        return w.indexed(Formula(whole + (rf"_{{\mathrm{{axis}}={axis}}}" if axis else ""), POWER), index)

    return write


def _identity(w: Formulas, made: Equation, index: Index) -> Formula:
    return w.part(made, 0, index)


def _standardized_by(w: Formulas, made: Equation, index: Index) -> Formula:
    """The last step, as the user wrote it."""
    last = multiply if made.parameters.get("inverse") else divide
    return w.expression(Equation(last, made.inputs[:2], {}, made.outputs), index)


# the tables ------------------------------------------------------------------------------------------------

_SAME = ("positive", "copy", "detached", "astype", "broadcast_to")
_COMPARED = {
    "equal": "=", "not_equal": r"\ne", "less": "<", "less_equal": r"\leq", "greater": ">", "greater_equal": r"\geq",
    "logical_and": r"\wedge", "logical_or": r"\vee", "logical_xor": r"\oplus", "remainder": r"\operatorname{mod}",
}  # fmt: skip
_FUNCTIONS = {
    "sigmoid": r"\sigma", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan", "log2": r"\log_2",
    "log10": r"\log_{10}", "asinh": r"\operatorname{arsinh}", "acosh": r"\operatorname{arcosh}",
    "atanh": r"\operatorname{artanh}", "digamma": r"\psi", "erfinv": r"\operatorname{erf}^{-1}", "det": r"\det",
}  # fmt: skip
_FUNCTIONS |= {name: f"\\{name}" for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")}
_FUNCTIONS |= {
    name: rf"\operatorname{{{name}}}"
    for name in ("relu", "softplus", "erf", "sign", "round", "trunc", "sinc", "softmax")
}
_TEMPLATES = {
    "abs": (r"\left| <x> \right|", WHOLE), "floor": (r"\left\lfloor <x> \right\rfloor", WHOLE),
    "ceil": (r"\left\lceil <x> \right\rceil", WHOLE), "sqrt": (r"\sqrt{<x>}", FRACTION),
    "cbrt": (r"\sqrt[3]{<x>}", FRACTION), "reciprocal": (r"\frac{1}{<x>}", FRACTION),
    "floor_divide": (r"\left\lfloor \frac{<x>}{<y>} \right\rfloor", WHOLE),
    "exp2": ("2^{<x>}", POWER), "expm1": (r"\exp<x:call> - 1", SUM),
    "log1p": (r"\log\left(1 + <x:sum>\right)", WHOLE),
    "logaddexp": (r"\log\left(\exp<x:call> + \exp<y:call>\right)", WHOLE),
    "lgamma": (r"\log \Gamma<x:call>", PRODUCT),
    "logaddexp2": (r"\log_2\left(2^{<x>} + 2^{<y>}\right)", WHOLE),
    "log_sigmoid": (r"\log \sigma<z:call>", PRODUCT),
    "log_softmax": (r"\log \operatorname{softmax}<x:call>", PRODUCT),
    "hypot": (r"\sqrt{<x:whole>^2 + <y:whole>^2}", FRACTION), "logit": (r"\log \frac{<x>}{1 - <x:big>}", BIG),
    "maximum": (r"\max\left(<x>, <y>\right)", WHOLE), "minimum": (r"\min\left(<x>, <y>\right)", WHOLE),
    "limit": (r"\min\left(\max\left(<x>, <low>\right), <high>\right)", WHOLE),
    "logical_not": (r"\neg <x:whole>", PRODUCT),
    "inv": ("<x:whole>^{-1}", POWER), "pinv": ("<x:whole>^{+}", POWER),
    "solve": ("<x:whole>^{-1} <y:product>", PRODUCT),
    "affine": (r"<x:product> <w:whole>^{\top} + <b:sum>", SUM), "linear": ("<x:product> <w:product> + <b:sum>", SUM),
    "standardized": (
        r"\frac{<x:sum> - \operatorname{mean}<x:call>}{\sqrt{\operatorname{Var}<x:call> + \varepsilon}}", FRACTION,
    ),
}  # fmt: skip


class Latex(Formulas):
    """Equations in LaTeX."""

    writers: ClassVar[Mapping[str, Writer]] = {
        "add": _add, "subtract": _subtract, "negative": _negative, "multiply": _multiply, "matmul": _matmul,
        "divide": _divide, "pow": _pow, "square": _square, "matrix_transpose": _permute_dims,
        "permute_dims": _permute_dims, "reshape": _reshape, "getitem": _getitem, "where": _where, "p_norm": _p_norm,
        "concatenate": _joined(r" \mid "), "stacked": _joined(r",\ "),
        "standardized_by": _standardized_by, "standardized_with_margin": _standardized_by,
        "sum": sums.reduction(r"\sum"), "mean": sums.reduction(r"\sum", mean=True),
        "prod": sums.reduction(r"\prod"),
        "max": sums.reduction(r"\max"), "min": sums.reduction(r"\min"),
        "argmax": sums.reduction(r"\operatorname{arg\,max}"), "argmin": sums.reduction(r"\operatorname{arg\,min}"),
        "var": sums.reduction(r"\operatorname{Var}"), "std": sums.reduction(r"\operatorname{std}"),
        "all": sums.reduction(r"\operatorname{all}"), "any": sums.reduction(r"\operatorname{any}"),
        "contraction": sums.contraction, "squared_error": sums.squared_error,
        "mean_squared_error": sums.mean_squared_error, "cross_entropy_of_logits": sums.cross_entropy,
        "binary_cross_entropy": sums.binary_cross_entropy, "negative_log_likelihood": sums.of_labels(log=False),
        "cross_entropy_of_labels": sums.of_labels(log=True),
    } | dict.fromkeys(_SAME, _identity)  # fmt: skip
    templates: ClassVar[Mapping[str, tuple[str, int]]] = (
        _TEMPLATES
        | {name: (f"<x:sum> {sign} <y:sum>", COMPARE) for name, sign in _COMPARED.items()}
        | {name: (f"{sign}<x:call>", WHOLE) for name, sign in _FUNCTIONS.items()}
    )
    called_so: ClassVar[Mapping[str, str]] = {
        "convolution": "conv", "eigh": "eig", "thin_svd": "svd", "tall_qr": "qr", "cumulative_sum": "cumsum",
        "cumulative_prod": "cumprod", "scatter_add": "scatter",
    }  # fmt: skip


def equation(made: Equation, named: Mapping[Variable, Symbol]) -> str:
    r"""One equation: `H = \sigma(Z)`; `named` are the symbols of its Variables, as `symbols` finds them.

    >>> import numpy as np, chainrule as cr
    >>> from chainrule.graph.ir import all_names
    >>> graph = cr.trace(lambda X, W1: X @ W1, np.ones((2, 3)), np.ones((3, 2)))
    >>> equation(graph.equations[0], symbols(graph, all_names(graph)))
    'f = X W_1'
    """
    left = ", ".join(str(named[v]) for v in made.outputs)
    return f"{left} = {expression(made, named)}"


def expression(made: Equation, named: Mapping[Variable, Symbol]) -> str:
    """The right side of an equation."""
    return Latex(named).expression(made).text
