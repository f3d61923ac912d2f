"""Every function of NumPy that chainrule supports, each with examples, and the table made by running them.

`python tests/numpy_table.py` writes `docs/numpy.md`. An example is called with plain arrays and with Tensors;
the values must agree, and so must the gradients and central differences, to the second order.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy_examples import ROWS, Row

import chainrule as cr
from chainrule import numpy_protocol
from chainrule.errors import IndependentWarning
from chainrule.numpy_functions.arguments import name_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "numpy.md"

DIFFERENTIABLE = "differentiable"
PIECEWISE = "constant between jumps: the gradient is zero"
NONE = "no derivative: integers, booleans, types"


# running them --------------------------------------------------------------------------------------------


@contextmanager
def reached() -> Iterator[set[str]]:
    """The names of the NumPy functions that are called with Tensors in the body."""
    names: set[str] = set()
    ufunc, function = numpy_protocol.apply_ufunc, numpy_protocol.apply_function

    def apply_ufunc(called: Any, *args: Any) -> Any:
        names.add(name_of(called))
        return ufunc(called, *args)

    def apply_function(called: Any, *args: Any) -> Any:
        names.add(name_of(called))
        return function(called, *args)

    with patch.multiple(numpy_protocol, apply_ufunc=apply_ufunc, apply_function=apply_function):
        yield names


def parts(result: Any) -> list[Any]:
    """The parts of a result, lists and tuples opened."""
    return [p for part in result for p in parts(part)] if isinstance(result, (list, tuple)) else [result]


def same(found: Any, expected: Any, tolerance: float = 1e-11) -> bool:
    """Whether a result is NumPy's, with Tensors for arrays: containers, types, shapes and values."""
    if isinstance(expected, (list, tuple)):
        equal = len(found) == len(expected) and all(
            same(f, e, tolerance) for f, e in zip(found, expected, strict=True)
        )
        return type(found) is type(expected) and equal
    if not isinstance(expected, (np.ndarray, np.generic)):
        return type(found) is type(expected) and bool(found == expected)
    value = np.asarray(found.data) if isinstance(found, cr.Tensor) else found
    if type(value) is int:
        return bool(value == expected)
    alike = np.shape(value) == expected.shape and np.result_type(value) == expected.dtype
    return alike and np.allclose(value, expected, rtol=tolerance, atol=tolerance / 10, equal_nan=True)


def with_tensors(example: Row) -> tuple[Any, list[cr.Tensor]]:
    """The result of an example on Tensors, and those Tensors; it must have reached the function it names."""
    tensors = [cr.Tensor(a.copy(), requires_grad=True) for a in example.arrays]
    with reached() as names:
        result = example.call(*tensors)
    if tensors and example.name not in names:
        raise AssertionError(f"the example of {example.name} calls only {sorted(names)}")
    return result, tensors


def kind_of(example: Row) -> str:
    """Run an example, compare its values with NumPy's and its gradients with central differences."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentWarning)
        result, tensors = with_tensors(example)
        expected = example.call(*(a.copy() for a in example.arrays))
        if not same(result, expected):
            raise AssertionError(f"{example.name} gives {result}, but NumPy {expected}")
        real = [p for p in parts(result) if isinstance(p, cr.Tensor) and p.dtype.kind == "f"]
        if not real or not tensors:
            return NONE
        for part in real:
            if part.requires_grad:
                np.sum(part * 1.0).backward(retain_graph=True)
        moved = any(t.grad is not None and np.any(t.grad.data) for t in tensors)
        if all(part.dtype == np.float64 for part in real):
            cr.check_grads(example.call, example.arrays, order=2 if moved else 1)
        return DIFFERENTIABLE if moved else PIECEWISE


def kinds() -> dict[str, str]:
    """What is known of each function: the most that one of its examples shows."""
    order = [NONE, PIECEWISE, DIFFERENTIABLE]
    found: dict[str, str] = {}
    for example in ROWS:
        found[example.name] = max(kind_of(example), found.get(example.name, NONE), key=order.index)
    return found


def supported() -> set[str]:
    """The names of all functions that the protocol knows."""
    functions = [*numpy_protocol.FUNCTIONS, *numpy_protocol.CONSTANT_FUNCTIONS, *numpy_protocol.UFUNCS]
    return {name_of(f) for f in functions}


INTRODUCTION = """\
# NumPy's functions on Tensors

A function written for NumPy is differentiated as it stands: NumPy hands every call with a Tensor among its
arguments to chainrule, which does the same to the Tensor and records it.

```pycon
>>> import numpy as np
>>> import chainrule as cr
>>> X, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -1.0])
>>> cr.grad(lambda w: np.sum(np.tanh(X @ w)) / len(X))(w)
array([0.13024166, 0.23389109])

```

Values, shapes and types of the results are NumPy's. What has no rule here (another function, or an option of
one of these) still works while nothing needs a gradient; otherwise it raises `UnsupportedError`, which names
the function and the nearest thing to do. A Tensor that needs a gradient does not become a plain array:
`np.asarray(t)`, `array[:] = t` and `array += t` raise `GradientLostError`. It may become a number of Python, and
nothing flows back from that: `float(t)`, `t.item()` and `math.exp(t)` are constants, so write `np.exp(t)`.
Complex numbers have no gradients; where one would be needed, that is an `UnsupportedError`.

- `ufunc.reduce` works for add, multiply, maximum, minimum, logaddexp, logical_and and logical_or;
  `ufunc.accumulate` for add and multiply; `ufunc.at` for add and subtract; `ufunc.outer` for all.
- `out=` takes a Tensor, and functions that change their first argument (`np.copyto`, `np.put`) change a
  Tensor, both with the right gradients.
- Lists of Tensors become one Tensor with `np.stack`, or with `np.array([t, u], like=t)`.
- From `scipy.special`: expit, logit, erf, erfinv, gammaln, psi and log_expit.

`python tests/numpy_table.py` writes this page by running every function in the table: with plain arrays,
with Tensors, and against central differences.
"""


def page() -> str:
    """The text of `docs/numpy.md`."""
    found = kinds()
    missing = supported() - found.keys()
    if missing:
        raise AssertionError(f"no example calls {', '.join(sorted(missing))}")
    lines = [
        INTRODUCTION,
        f"{len(found)} functions are supported.",
        "",
        "| function | derivative |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {kind} |" for name, kind in sorted(found.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE.name}\n")
