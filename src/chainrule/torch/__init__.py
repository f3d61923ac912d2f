"""PyTorch's spelling over chainrule's engine: names, signatures, defaults and printing.

>>> from chainrule import torch
>>> x = torch.tensor(4.0, requires_grad=True)
>>> y = x**2
>>> y
tensor(16., grad_fn=<PowBackward0>)
>>> y.backward()
>>> x.grad
tensor(8.)
"""

# ruff: noqa: F401, N811

from __future__ import annotations

import difflib
import importlib
import math as _math
from typing import Any

from chainrule.torch import autograd as autograd
from chainrule.torch import dtypes as _dtypes
from chainrule.torch import functions as _functions
from chainrule.torch import linalg as linalg
from chainrule.torch import methods as _methods
from chainrule.torch import printing as _printing
from chainrule.torch.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)  # fmt: skip
from chainrule.torch.dtypes import STRIDED as strided
from chainrule.torch.dtypes import (
    Size,
    can_cast,
    cdouble,
    cfloat,
    complex64,
    complex128,
    device,
    double,
    dtype,
    finfo,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    long,
    promote_types,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)  # fmt: skip
from chainrule.torch.errors import MissingNameError
from chainrule.torch.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)  # fmt: skip
from chainrule.torch.tensors import Tensor

float = float32
int = int32
bool = _dtypes.boolean
e, inf, nan, pi, newaxis = _math.e, _math.inf, _math.nan, _math.pi, None
__version__ = "2.13.0+chainrule"

globals().update(_functions.PUBLIC)
globals().update({name: _methods.METHODS[name] for name in ("zero_", "fill_", "fill", "resize_")})
globals().update(
    {
        name: f
        for name, f in _functions.METHODS.items()
        if name.endswith("_") and name[:-1] in _functions.UNARY
    }
)
Generator.wrap = staticmethod(Tensor._wrapped)

set_printoptions = _printing.set_printoptions

_SUBMODULES = (
    "nn", "optim", "utils", "func", "linalg", "special", "random", "serialization", "cuda",
)  # fmt: skip
_ELSEWHERE = {"save": "serialization", "load": "serialization", "vmap": "func"}


def _typed(kind: dtype) -> Any:
    def make(*data: Any) -> Any:
        return Tensor(*data).to(kind)

    make.__doc__ = f"`torch.Tensor(...)` as {kind!r}."
    return make


FloatTensor, DoubleTensor, IntTensor, LongTensor = (_typed(kind) for kind in (float32, float64, int32, int64))
ByteTensor, BoolTensor = _typed(uint8), _typed(_dtypes.boolean)


def get_num_threads() -> Any:
    """How many threads compute: NumPy decides that for itself; 1 is what is counted on."""
    return 1


def set_num_threads(count: Any) -> None:
    """Accepted, and without effect: NumPy's own settings (OPENBLAS_NUM_THREADS) decide."""


def is_tensor(obj: Any) -> Any:
    """Whether an object is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> Any:
    """Whether the elements are floating-point numbers."""
    return input._data.dtype.kind == "f"


def is_complex(input: Tensor) -> Any:
    """Whether the elements are complex numbers."""
    return input._data.dtype.kind == "c"


def numel(input: Tensor) -> Any:
    """The number of elements."""
    return input._data.size


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The type of the result of an operation on two operands."""
    values = [v._data if isinstance(v, Tensor) else v for v in (tensor1, tensor2)]
    return _dtypes.BY_NUMPY[_dtypes.result_type_of(values)]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{__name__}.{name}":
                raise
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    if name.startswith("__"):
        raise AttributeError(name)
    near = difflib.get_close_matches(name, [*globals(), *_SUBMODULES], 3)
    raise MissingNameError(
        f"chainrule.torch has no {name!r}" + (f"; the nearest names are {', '.join(near)}" if near else "")
    )
