"""chainrule.torch, driven by PyTorch's own table of operations (`op_db`).

An entry holds sample inputs and inputs that must raise. Each operation is run on both libraries: its values, the
gradients of a random linear function of its results, and the gradients of a random linear function of those.
"""

from __future__ import annotations

import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch as real
from torch.testing._internal.common_methods_invocations import op_db

from chainrule import torch as ours

SAMPLES = 12
"""How many sample inputs of an entry are tried."""

TYPES = {getattr(real, name): getattr(ours, name) for name in (
    "float16", "float32", "float64", "complex64", "complex128", "int8", "int16", "int32", "int64", "uint8", "bool",
)}  # fmt: skip

ENTRIES = {op.name + (f"/{op.variant_test_name}" if op.variant_test_name else ""): op for op in op_db}

NO_VALUES = frozenset(
    {"empty", "empty_like", "new_empty", "empty_strided", "empty_permuted", "new_empty_strided"}
)
"""Their elements have no particular value, so only shapes and types are compared."""


FREE_SIGNS = frozenset({"linalg.eigh", "linalg.svd", "svd", "svd_lowrank", "pca_lowrank"})
"""Vectors that are determined up to their sign are compared after what the table does to make them unique."""


TOLERANCES = {"nn.functional.hardsigmoid": 1e-7}
"""PyTorch divides by 6 in single precision."""


class Untried(Exception):
    """A sample that is outside of what the façade has: sparse, complex, another device."""


class Difference(AssertionError):
    """The two libraries disagree."""


# the operation in the façade --------------------------------------------------------------------------------


def _seeded(op: Any, *args: Any, **kwargs: Any) -> Any:
    ours.manual_seed(42)
    return op(*args, **kwargs)


def with_ours(function: Any) -> Any:
    """A function of PyTorch's table whose text is run with our torch in the place of theirs."""
    scope = {**function.__globals__, "torch": ours, "wrapper_set_seed": _seeded}
    found = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    found.__kwdefaults__ = function.__kwdefaults__
    return found


def _resolved(name: str) -> Any:
    found: Any = ours
    for part in name.split("."):
        found = getattr(found, part)
    return found


def operation(op: Any) -> Any:
    """What the façade has for an entry; LookupError if it lacks the name."""
    code = getattr(op.op, "__code__", None)
    if code is not None and op.op.__name__ == "<lambda>":  # the same text, with our torch
        try:
            _resolved(op.name)
        except (AttributeError, TypeError):
            if not hasattr(ours.Tensor, op.name) and not hasattr(ours.Tensor, f"{op.name}_"):
                raise LookupError(op.name) from None
        return with_ours(op.op)
    if op.op is getattr(real.Tensor, op.name, None):
        if not hasattr(ours.Tensor, op.name):
            raise LookupError(op.name)
        return getattr(ours.Tensor, op.name)
    try:
        return _resolved(op.name)
    except (AttributeError, TypeError):
        raise LookupError(op.name) from None


def missing(op: Any) -> bool:
    """Whether the façade lacks the name of an entry."""
    try:
        operation(op)
    except LookupError:
        return True
    return False


# arguments and results --------------------------------------------------------------------------------------


def _tensor(value: real.Tensor, memory: dict[Any, Any]) -> Any:
    if (
        value.layout != real.strided
        or value.dtype not in TYPES
        or value.device.type != "cpu"
        or value.ndim > 64
    ):
        raise Untried(f"{value.layout} {value.dtype} {value.device} of {value.ndim} dimensions")
    storage = value.untyped_storage().nbytes() // value.element_size()
    if (
        0 < storage <= 4096 and value.numel() and not value.is_conj() and not value.is_neg()
    ):  # with its strides
        key = (value.untyped_storage().data_ptr(), storage, value.dtype)
        if key not in memory:
            memory[key] = value.detach().as_strided((storage,), (1,), 0).numpy().copy()
        whole = memory[key]
        steps = tuple(s * value.element_size() for s in value.stride())
        start = value.storage_offset() * value.element_size()
        if start + sum(s * (n - 1) for s, n in zip(steps, value.shape, strict=True)) < whole.nbytes:
            return ours.from_numpy(np.ndarray(tuple(value.shape), whole.dtype, whole, start, steps))
    return ours.from_numpy(np.array(value.detach().resolve_conj().resolve_neg().numpy()))


def converted(value: Any, leaves: list[Any], memory: dict[Any, Any]) -> Any:
    """An argument for the façade, with what shares memory sharing it; leaves that need gradients are collected."""
    if isinstance(value, real.Tensor):
        if id(value) in memory:
            return memory[id(value)]
        tensor = memory[id(value)] = _tensor(value, memory)
        if value.requires_grad:
            leaves.append(tensor.requires_grad_())
        return tensor
    return _mapped(value, lambda part: converted(part, leaves, memory), ours=True)


def copied(value: Any, leaves: list[Any]) -> Any:
    """An argument for PyTorch; of tensors that need gradients, new leaves."""
    if isinstance(value, real.Tensor):
        if value.requires_grad:
            value = value.detach().requires_grad_()
            leaves.append(value)
        return value
    return _mapped(value, lambda part: copied(part, leaves), ours=False)


def _mapped(value: Any, change: Any, ours: bool) -> Any:
    if isinstance(value, real.Size):
        return tuple(value) if ours else value
    if isinstance(value, real.dtype):
        if ours and value not in TYPES:
            raise Untried(f"{value}")
        return TYPES[value] if ours else value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[change(part) for part in value])
    if isinstance(value, (list, tuple)):
        return type(value)(change(part) for part in value)
    if isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    if ours and callable(value) and getattr(value, "__module__", "").startswith("torch."):
        return _resolved(f"nn.functional.{value.__name__}") if hasattr(value, "__name__") else _unknown(value)
    if ours and isinstance(value, real.device):
        return str(value)
    if ours and isinstance(value, (real.layout, real.memory_format, real.Generator)):
        return None
    return value


def _unknown(value: Any) -> Any:
    raise Untried(f"{value}")


def flat(value: Any) -> list[Any]:
    """The results of an operation, one after the other."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in flat(item)]
    return [value]


def is_tensor(value: Any) -> bool:
    return isinstance(value, (real.Tensor, ours.Tensor))


def array(value: Any) -> np.ndarray:
    if isinstance(value, ours.Tensor):
        return np.asarray(value.detach().numpy())
    return np.asarray(value.detach().resolve_conj().resolve_neg().numpy(force=True))


# comparing ----------------------------------------------------------------------------------------------------


def _compare(what: str, expected: np.ndarray, found: np.ndarray, tolerance: float) -> None:
    if expected.shape != found.shape or expected.dtype != found.dtype:
        raise Difference(f"{what}: {found.dtype}{found.shape}, expected {expected.dtype}{expected.shape}")
    if expected.dtype.kind in "biu":
        if not (expected == found).all():
            raise Difference(f"{what}: {found.ravel()[:4]}, expected {expected.ravel()[:4]}")
        return
    if expected.dtype.itemsize < 8:
        tolerance = 1e-3 if expected.dtype.itemsize == 2 else 1e-5
    if not np.allclose(expected, found, rtol=tolerance, atol=tolerance, equal_nan=True):
        worst = np.nanmax(np.abs(expected - found), initial=0.0)
        raise Difference(
            f"{what}: differs by {worst:.3g}; {found.ravel()[:4]}, expected {expected.ravel()[:4]}"
        )


def _weighted(results: list[Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """A random linear function of the results: of PyTorch's and of ours."""
    totals: list[Any] = [0.0, 0.0]
    for theirs, mine in results:
        weights = rng.normal(size=tuple(theirs.shape)).astype(array(theirs).dtype)
        totals[0] = totals[0] + (theirs * real.from_numpy(np.asarray(weights))).sum()
        totals[1] = totals[1] + (mine * ours.from_numpy(np.asarray(weights))).sum()
    return totals[0], totals[1]


def _gradients(total: tuple[Any, Any], leaves: tuple[list[Any], list[Any]], create_graph: bool) -> Any:
    theirs = real.autograd.grad(total[0], leaves[0], create_graph=create_graph, allow_unused=True)
    if not (is_tensor(total[1]) and total[1].requires_grad):
        return theirs, (None,) * len(theirs)
    return theirs, ours.autograd.grad(total[1], leaves[1], create_graph=create_graph, allow_unused=True)


def _compare_gradients(what: str, found: Any, leaves: list[Any], tolerance: float) -> None:
    for i, (theirs, mine, leaf) in enumerate(zip(*found, leaves, strict=True)):
        zeros = np.zeros(tuple(leaf.shape), array(leaf).dtype)
        pair = [zeros if g is None else array(g) for g in (theirs, mine)]
        if what == "second gradient":  # where PyTorch has none, ours is not compared
            pair[1] = np.where(np.isnan(pair[0]), pair[0], pair[1])
        _compare(f"{what} of input {i}", pair[0], pair[1], tolerance)


def _compare_values(op: Any, theirs: Any, mine: Any, tolerance: float) -> None:
    first, second = flat(theirs), flat(mine)
    if len(first) != len(second):
        raise Difference(f"{len(second)} results, expected {len(first)}")
    for a, b in zip(first, second, strict=True):
        if is_tensor(a) != is_tensor(b) or (not is_tensor(a) and a != b and not _same_type(a, b)):
            raise Difference(f"result {b!r}, expected {a!r}")
        if is_tensor(a):
            expected, found = array(a), array(b)
            same_kind = found.shape == expected.shape and found.dtype == expected.dtype
            _compare("value", expected, expected if op.name in NO_VALUES and same_kind else found, tolerance)


def check_sample(op: Any, run: Any, sample: Any, tolerance: float = 1e-9) -> None:
    """Compare values, gradients and second gradients at one sample input."""
    leaves: tuple[list[Any], list[Any]] = ([], [])
    memory: dict[Any, Any] = {}
    wrapper = (
        op.gradcheck_wrapper
    )  # makes a matrix symmetric or triangular, where only such are differentiated
    theirs = wrapper(
        op.op, *copied((sample.input, *sample.args), leaves[0]), **copied(sample.kwargs, leaves[0])
    )
    mine = with_ours(wrapper)(
        run,
        *converted((sample.input, *sample.args), leaves[1], memory),
        **converted(sample.kwargs, leaves[1], memory),
    )
    process = sample.output_process_fn_grad or (lambda x: x)
    free = op.name in FREE_SIGNS
    _compare_values(op, process(theirs) if free else theirs, process(mine) if free else mine, tolerance)
    if not op.supports_autograd or not leaves[0]:
        return
    pairs = [
        (a, b)
        for a, b in zip(flat(process(theirs)), flat(process(mine)), strict=True)
        if is_tensor(a) and a.requires_grad
    ]
    if any(a.is_complex() for a, _ in pairs) or any(leaf.is_complex() for leaf in leaves[0]):
        raise Untried("complex")
    if any(not b.requires_grad for _, b in pairs):
        raise Difference("the result needs no gradient")
    if not pairs:
        return
    _check_gradients(op, pairs, leaves, tolerance)


def _check_gradients(
    op: Any, pairs: list[Any], leaves: tuple[list[Any], list[Any]], tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    again = op.supports_gradgrad
    found = _gradients(_weighted(pairs, rng), leaves, again)
    _compare_gradients("gradient", found, leaves[0], tolerance)
    if not again:
        return
    pairs = [
        (a, b if b is not None else ours.zeros(tuple(a.shape), dtype=ours.float64))
        for a, b in zip(*found, strict=True) if a is not None and a.requires_grad
    ]  # fmt: skip
    if not pairs:
        return
    try:
        found = _gradients(_weighted(pairs, rng), leaves, False)
    except RuntimeError as error:
        if "is not implemented" in str(error):  # PyTorch has no second derivative for this sample
            return
        raise
    _compare_gradients("second gradient", found, leaves[0], 10 * tolerance)


def _same_type(a: Any, b: Any) -> bool:
    return isinstance(a, real.dtype) and TYPES.get(a) is b


def check_errors(op: Any, run: Any) -> None:
    """Inputs for which PyTorch raises must raise the same type of exception."""
    if op.error_inputs_func is None:
        return
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        try:
            memory: dict[Any, Any] = {}
            args = converted((sample.input, *sample.args), [], memory)
            kwargs = converted(sample.kwargs, [], memory)
        except Untried:
            continue
        try:
            op.op(sample.input, *sample.args, **sample.kwargs)
        except Exception as raised:  # what PyTorch raises is what counts
            expected = (type(raised), error.error_type)
        else:
            continue
        try:
            run(*args, **kwargs)
        except expected:
            continue
        except Exception as wrong:
            raise Difference(
                f"raises {type(wrong).__name__} ({wrong}), expected {expected[0].__name__}: {error.error_regex}"
            ) from wrong
        raise Difference(
            f"nothing is raised, expected {expected[0].__name__}: {error.error_regex}; {sample.summary()[:200]}"
        )


def samples(op: Any) -> Iterator[Any]:
    real.manual_seed(0)
    kind = next((t for t in (real.float64, real.int64, real.complex128) if t in op.dtypes), real.float64)
    yield from op.sample_inputs("cpu", kind, requires_grad=op.supports_autograd and kind is not real.int64)


def check_entry(op: Any) -> int:
    """Check an entry; the number of samples that were tried."""
    run = operation(op)
    tried = 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for i, sample in enumerate(samples(op)):
            if tried >= SAMPLES:
                break
            try:
                check_sample(op, run, sample, TOLERANCES.get(op.name, 1e-9))
            except Untried:
                continue
            except Exception as error:
                raise Difference(
                    f"sample {i}: {type(error).__name__}: {error}\n{sample.summary()[:400]}"
                ) from error
            tried += 1
        check_errors(op, run)
    if not tried:
        raise Difference("all samples are outside of what the façade has")
    return tried


OUTSIDE = {
    "complex": "complex numbers have no gradients here", "imag": "complex numbers have no gradients here",
    "polar": "complex numbers have no gradients here", "cdouble": "complex numbers have no gradients here",
    "cfloat": "complex numbers have no gradients here",
    "nn.functional.triplet_margin_with_distance_loss": "its samples hand in functions of PyTorch",
    "as_strided_scatter": "PyTorch's gradient at size () is not that of its value",
    "arange": "out= of integers with a step below 1 is refused with another type of exception",
}  # fmt: skip
"""Names that the façade has, whose entries need something that it has not."""

_GROUPS = {
    "fft.": "needs complex numbers", "sparse.": "sparse tensors are not available", "jiterator": "needs CUDA",
    "masked.": "torch.masked is not available", "signal.": "torch.signal is not available",
    "torch.ops.": "an internal operation of PyTorch", "_": "an internal operation of PyTorch",
}  # fmt: skip


def reason_not_tried(name: str) -> str | None:
    """Why an entry is not tried; None for those that are."""
    if name in OUTSIDE:
        return OUTSIDE[name]
    if not missing(ENTRIES[name]):
        return None
    return next(
        (reason for start, reason in _GROUPS.items() if name.startswith(start)), "not in chainrule.torch"
    )
