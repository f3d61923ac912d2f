"""How tensors are printed: PyTorch's text, character for character.

All elements of a tensor get the same width. Floating-point numbers are printed with 4 decimals; or as
integers with a point, where all of them are integers; or in scientific notation, where they span more than
three orders of magnitude, or some are very large or very small. Above 1000 elements, only the first and the
last three of each dimension are shown, and only these decide on the format.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Words: TypeAlias = Callable[[Any], str]
"""The text of one element."""


@dataclass(frozen=True)
class Options:
    """What `set_printoptions` sets."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PROFILES = {
    "default": Options(),
    "short": Options(precision=2, edgeitems=2),
    "full": Options(threshold=math.inf),
}

_current = [Options()]


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed from now on; what is None stays as it is, except `sci_mode`.

    >>> set_printoptions(precision=2)
    >>> text(np.float32([1.12345]))
    'tensor([1.12])'
    >>> set_printoptions(profile="default")
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    base = PROFILES.get(profile or "", _current[0])
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    _current[0] = replace(base, **changes, sci_mode=sci_mode)


def get_printoptions() -> dict[str, Any]:
    """The options that are in force, as `set_printoptions` takes them.

    >>> get_printoptions()["linewidth"]
    80
    """
    return asdict(_current[0])


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """A block with other options.

    >>> with printoptions(threshold=5):
    ...     print(text(np.arange(10)))
    tensor([0, 1, 2,  ..., 7, 8, 9])
    """
    before = _current[0]
    set_printoptions(**options)
    try:
        yield
    finally:
        _current[0] = before


# elements ------------------------------------------------------------------------------------------------


def _is_scientific(finite: NDArray[np.float64], options: Options) -> bool:
    if options.sci_mode is not None:
        return options.sci_mode
    smallest, largest = finite.min(), finite.max()
    with np.errstate(over="ignore"):
        return bool(largest / smallest > 1000.0 or largest > 1.0e8 or smallest < 1.0e-4)


def _number_format(shown: Array, options: Options) -> tuple[Words, int]:
    """How the numbers shown are written, and the width that each takes."""
    values = shown.ravel()
    nonzero = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    integers = bool((nonzero == np.ceil(nonzero)).all())

    def integer(value: float) -> str:
        return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"

    write: Words = integer
    if nonzero.size and _is_scientific(abs(nonzero), options):
        write = f"{{:.{options.precision}e}}".format
    elif not integers:
        write = f"{{:.{options.precision}f}}".format
    width = max((len(write(value)) for value in nonzero.tolist()), default=1)
    return (lambda value: write(value).rjust(width)), width


def _format(shown: Array, options: Options) -> tuple[Words, int]:
    """How the elements shown are written, and the width that each takes."""
    if shown.dtype.kind == "c":
        write_real, wide = _number_format(shown.real, options)
        write_imag, wider = _number_format(shown.imag, options)

        def write(value: complex) -> str:
            imag = write_imag(value.imag).lstrip() + "j"
            return write_real(value.real) + (imag if imag[0] in "+-" else "+" + imag)

        return write, wide + wider + 1
    if shown.dtype.kind == "f":
        return _number_format(shown, options)
    width = max((len(str(value)) for value in shown.ravel().tolist()), default=1)
    return (lambda value: str(value).rjust(width)), width


def _edges(data: Array, options: Options) -> Array:
    """The elements of a large array that are shown."""
    count = options.edgeitems
    if not count:
        return data if data.ndim == 1 else data[:0]
    for axis, size in enumerate(data.shape):
        if size > 2 * count:
            data = data.take([*range(count), *range(size - count, size)], axis)
    return data


# brackets ------------------------------------------------------------------------------------------------


def _row(data: Array, indent: int, brief: bool, write: Words, width: int, options: Options) -> str:
    """One dimension, in lines that are not longer than they may be."""
    count = options.edgeitems
    if brief and not count:
        words = ["..."]
    elif brief and len(data) > 2 * count:
        head, tail = ([write(value) for value in part.tolist()] for part in (data[:count], data[-count:]))
        words = [*head, " ...", *tail]
    else:
        words = [write(value) for value in data.tolist()]
    step = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(words[i : i + step]) for i in range(0, len(words), step)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _brackets(data: Array, indent: int, brief: bool, write: Words, width: int, options: Options) -> str:
    if data.ndim == 0:
        return write(data.item())
    if data.ndim == 1:
        return _row(data, indent, brief, write, width, options)

    def inner(parts: Array) -> list[str]:
        return [_brackets(part, indent + 1, brief, write, width, options) for part in parts]

    count = options.edgeitems
    if brief and len(data) > 2 * count:
        blocks = [*inner(data[:count]), "...", *inner(data[len(data) - count :])]
    else:
        blocks = inner(data)
    return "[" + ("," + "\n" * (data.ndim - 1) + " " * (indent + 1)).join(blocks) + "]"


def _with_suffixes(body: str, suffixes: Sequence[str], indent: int, options: Options) -> str:
    """The text in brackets, and behind it what else is to be said, in a new line where it is too long."""
    length = len(body) - body.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > options.linewidth:
            body += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            body += ", " + suffix
            length += len(suffix) + 2
    return body + ")"


def text(
    data: Array,
    *,
    default_dtype: Any = np.float32,
    default_complex: Any = np.complex64,
    requires_grad: bool = False,
    grad_fn: str | None = None,
    prefix: str = "tensor(",
) -> str:
    """The `repr` of a tensor with these elements.

    >>> print(text(np.float32([[1, 2.5], [3, 1e-3]]), grad_fn="MulBackward0"))
    tensor([[1.0000e+00, 2.5000e+00],
            [3.0000e+00, 1.0000e-03]], grad_fn=<MulBackward0>)
    >>> print(text(np.array(8.0), requires_grad=True))
    tensor(8., dtype=torch.float64, requires_grad=True)
    """
    options = _current[0]
    indent, suffixes = len(prefix), []
    if data.size == 0:
        body = "[]"
        told = data.dtype == default_dtype
        shape_told = data.ndim == 1
    else:
        brief = data.size > options.threshold
        write, width = _format(_edges(data, options) if brief else data, options)
        body = _brackets(data, indent, brief, write, width, options)
        told = data.dtype in (np.dtype(default_dtype), np.dtype(default_complex), np.int64, np.bool_)
        shape_told = options.edgeitems > 0
    if not shape_told:
        suffixes.append(f"size={data.shape}")
    if not told:
        suffixes.append(f"dtype=torch.{data.dtype.name}")
    if grad_fn is not None:
        suffixes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, indent, options)


def parameter_text(data: Array, *, requires_grad: bool = True, **others: Any) -> str:
    """The `repr` of a parameter; the keywords are those of `text`.

    >>> print(parameter_text(np.float32([1.0, 2.0])))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """
    return "Parameter containing:\n" + text(data, requires_grad=requires_grad, **others)
