"""NumPy programs that predict what a trained model predicts, and need nothing but NumPy."""

from __future__ import annotations

import base64
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import BooleanFeature, CategoryFeature, ClassTarget, DateFeature, Feature
from chainrule.data.cells import MISSING, ORDERS
from chainrule.errors import UnsupportedError
from chainrule.export.pipeline import ROWS, prediction_graph
from chainrule.export.tracing import traced
from chainrule.graph import Graph
from chainrule.graph.emit.expansion import is_ours
from chainrule.graph.emit.numpy_source import Program, program
from chainrule.graph.tracing import parameter_names
from chainrule.lines import described_place
from chainrule.nn import Module
from chainrule.train import TableModel

READABLE = 1000
"""Arrays of more numbers are written as base64: nobody would read them, and Python takes long to."""

WIDTH = 100


def numpy_source(module: Module | Graph | TableModel, *example: Any) -> str:
    """A standalone NumPy program of a prediction, with the weights in it; it needs no chainrule.

    Of a module, with examples of its inputs (float64 unless they say otherwise): a function `forward` of arrays. Of a
    graph: its function. Of a model that `chainrule train` saved: `predict(columns)` and, for classes,
    `probabilities(columns)`, where `columns` is a dict of lists of numbers and texts, as in a CSV file; its unknown
    categories and missing values are treated as `chainrule predict` does. Small arrays are written as numbers, those
    of more than 1000 elements as base64.

    Raises UnsupportedError, with the line, for a module that cannot be traced, or uses a primitive of the user's own.

    >>> from chainrule import nn
    >>> print(numpy_source(nn.Sequential(nn.Linear(2, 1, generator=0), nn.Tanh()), np.ones((5, 2))))
    import numpy as np
    <BLANKLINE>
    weight = np.array([[0.38738615], [-0.65114150]])
    bias = np.array([0.0])
    <BLANKLINE>
    <BLANKLINE>
    def forward(x):
        \"\"\"The forward pass of a Sequential; shapes are those of the example.
    <BLANKLINE>
        Takes x (5, 2).
        Returns value (5, 1).
        \"\"\"
        value = np.tanh(x @ weight + bias)  # (5, 1)
    <BLANKLINE>
        return value
    <BLANKLINE>
    """
    if isinstance(module, TableModel):
        return _of_model(module)
    graph = traced(module, example)
    _require_ours(graph)
    function = parameter_names(module.forward, len(example)) if isinstance(module, Module) else None
    names = function or [f"x{i}" for i in range(len(graph.arguments[0]))]
    given = ", ".join(f"{{input{i}}}" for i in range(len(graph.inputs)))
    returned = ", ".join(f"{{result{i}}}" for i in range(len(graph.outputs)))
    summary = [
        f"The forward pass of a {graph.name}; shapes are those of the example.",
        "",
        f"Takes {given}.",
        f"Returns {returned}.",
    ]
    return _with_constants(program(graph, "forward", names, summary, constants_outside=True))


def _require_ours(graph: Graph) -> None:
    for equation in graph.equations:
        if not is_ours(equation.primitive):
            where = f"\n  at {described_place(equation.place)}" if equation.place is not None else ""
            raise UnsupportedError(
                f"{equation.primitive.name} is a primitive of your own, whose code is not NumPy source that can be "
                f"written out{where}\nMake it of functions of chainrule instead."
            )


def _with_constants(written: Program) -> str:
    """The program with the arrays that it needs in front of its functions."""
    imports, functions = written.source.split("\n\n\n", 1)
    arrays = {name: variable.value for name, variable in written.constants.items()}
    lines = [f"{name} = {array_source(array)}" for name, array in arrays.items()]
    if any("base64." in line for line in lines):
        imports = f"import base64\n\n{imports}"
    return "\n\n\n".join([*(["\n\n".join([imports, "\n".join(lines)])] if lines else [imports]), functions])


def array_source(array: NDArray[Any]) -> str:
    """An array as an expression that gives it back to the bit.

    >>> array_source(np.array([0.1, np.inf]))
    'np.array([0.1, np.inf])'
    """
    kind = "" if array.dtype in (np.float64, np.int64, np.bool_) else f', "{array.dtype}"'
    if array.size > READABLE:
        content = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
        parts = (content[i : i + WIDTH] for i in range(0, len(content), WIDTH))
        lines = "\n".join(f'    "{part}"' for part in parts)
        dtype = array.dtype.newbyteorder("<").str
        return f'np.frombuffer(base64.b64decode(\n{lines}\n), "{dtype}").reshape({array.shape})'
    text = re.sub(r"\b(nan|inf)\b", r"np.\1", repr(array.tolist()))
    if array.size == 0:
        return f'np.empty({array.shape}, "{array.dtype}")'
    if len(text) > WIDTH:
        text = "[\n" + "".join(f"    {line}\n" for line in _rows(array)) + "]"
    return f"np.array({text}{kind})"


def _rows(array: NDArray[Any]) -> Iterator[str]:
    """The rows of a long array, one or more lines each."""
    rows = [re.sub(r"\b(nan|inf)\b", r"np.\1", repr(row)) for row in array.tolist()]
    if array.ndim == 1:
        yield from textwrap.wrap(", ".join(rows) + ",", WIDTH, break_on_hyphens=False)
    else:
        for row in rows:
            yield from textwrap.wrap(
                row + ",", WIDTH, subsequent_indent=" ", break_on_hyphens=False, break_long_words=False
            )


# a model of a table ---------------------------------------------------------------------------------------------


def _of_model(model: TableModel) -> str:
    features, target = model.preparation.features, model.preparation.target
    kinds = {feature.kind for feature in features}
    written = program(prediction_graph(model), "forward", ["columns"], [_FORWARD], constants_outside=True)
    forward = re.sub(rf"(# .*)\({ROWS}\b", r"\1(rows", _with_constants(written))
    if "date" in kinds:
        needed = "import datetime\nimport re\n"
        forward = needed + ("" if forward.startswith("import base64") else "\n") + forward
    parts = [
        f"{_docstring(model)}\n\n{forward}",
        _MISSING.format(missing=tuple(sorted(MISSING))),
        *(reader for kind, reader in _READERS.items() if kind in kinds),
        _columns(features),
        _CLASSES.format(classes=_tuple(target.classes)) if isinstance(target, ClassTarget) else _NUMBER,
    ]
    return "\n\n\n".join(part.strip() for part in parts) + "\n"


def _docstring(model: TableModel) -> str:
    target = model.preparation.target
    what = f"one of {len(target.classes)} classes" if isinstance(target, ClassTarget) else "a number"
    lines = [
        f"Predicts {target.name}, {what}, with a network {'-'.join(map(str, model.sizes))} trained on {model.name}.",
        "",
        "Written by chainrule; needs NumPy only. Call predict(columns), where columns is a dict of lists of equal "
        f"length: {', '.join(model.preparation.names)}.",
    ]
    wrapped = "\n".join(part for line in lines for part in (textwrap.wrap(line, WIDTH) or [""]))
    return '"""' + wrapped.replace("\\", "\\\\").replace('"', '\\"') + '\n"""'


def _columns(features: tuple[Feature, ...]) -> str:
    """The function that makes numbers of the cells of all columns."""
    lines = [f"        {f.name!r}: {_reader(f)}," for f in features]
    head = ["def numbers_of(columns):", '    """The columns as forward takes them."""', "    return {"]
    return "\n".join([*head, *lines, "    }"])


def _reader(feature: Feature) -> str:
    given = f"columns[{feature.name!r}]"
    if isinstance(feature, CategoryFeature):
        return f"codes({given}, {_tuple(feature.categories)})"
    if isinstance(feature, BooleanFeature):
        return f"yes_or_no({given}, {_tuple(feature.words)})"
    if isinstance(feature, DateFeature):
        return f"days({given}, {ORDERS[feature.order].pattern!r})"
    return f"numbers({given})"


def _tuple(texts: tuple[str, ...]) -> str:
    return repr(tuple(map(str, texts)))


_FORWARD = (
    "From numbers, NaN where one is missing, and numbers of categories, 0 for others; shapes (rows, 1)."
)

_MISSING = """
def is_missing(cell):
    return cell is None or str(cell).strip().lower() in {missing}


def column(values, dtype=np.float64):
    return np.array(values, dtype).reshape(-1, 1)
"""

_NUMBERS = '''
def numbers(cells):
    """The cells as float64, NaN where one is missing."""
    found = column([np.nan if is_missing(cell) else float(cell) for cell in cells])
    if np.isinf(found).any():
        raise ValueError("an infinite number")
    return found
'''

_CODES = '''
def codes(cells, categories):
    """The number of each cell's category, from 1; 0 for any other."""
    known = {name: number for number, name in enumerate(categories, start=1)}
    return column([known.get(text(cell), 0) for cell in cells], np.int64)


def text(cell):
    if is_missing(cell):
        return ""
    return f"{cell:.15g}" if isinstance(cell, (float, np.floating)) else str(cell).strip()
'''

_YES_OR_NO = '''
def yes_or_no(cells, words):
    """1 where a cell is the second word, 0 where it is the first, NaN where it is missing."""
    values = {words[0]: 0.0, words[1]: 1.0}
    return column([np.nan if is_missing(cell) else values[str(cell).strip()] for cell in cells])
'''

_DAYS = '''
def days(cells, pattern):
    """The days since 1970 of dates, NaN where one is missing."""
    return column([np.nan if is_missing(cell) else day(str(cell).strip(), pattern) for cell in cells])


def day(cell, pattern):
    found = re.fullmatch(pattern, cell)
    if found is None:
        raise ValueError(f"no date: {cell!r}")
    parts = (int(found[part] or 0) for part in "ymdHMS")
    return (datetime.datetime(*parts) - datetime.datetime(1970, 1, 1)).total_seconds() / 86400
'''

_READERS = {"numeric": _NUMBERS, "category": _CODES, "boolean": _YES_OR_NO, "date": _DAYS}

_CLASSES = '''
CLASSES = {classes}


def probabilities(columns):
    """The probability of each class for each row, shape (rows, classes)."""
    return forward(numbers_of(columns))


def predict(columns):
    """The class of each row, a list of texts."""
    return [CLASSES[number] for number in np.argmax(probabilities(columns), axis=1)]
'''

_NUMBER = '''
def predict(columns):
    """The number for each row, in the unit of the target, shape (rows,)."""
    return forward(numbers_of(columns))
'''
