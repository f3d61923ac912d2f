"""chainrule.torch.nn, driven by PyTorch's own table of modules (`module_db`).

Each entry holds the arguments of a module and of its forward pass. Both modules are made with the same arguments
in float64 and given the same state; values, gradients of inputs and of parameters, state and text are compared.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch as real
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

from chainrule import torch as ours
from chainrule.torch import nn

ENTRIES = {info.name.removeprefix("nn."): info for info in module_db}

SAMPLES = 60
"""How many inputs of an entry are tried; an entry that has more is thinned out evenly."""

TYPES = {getattr(real, name): getattr(ours, name) for name in (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool",
)}  # fmt: skip

ABSENT = {"LinearCrossEntropyLoss": "a module of PyTorch 2.13 that fuses Linear and CrossEntropyLoss"}
"""Entries that chainrule.torch.nn does not name, each with the reason."""


def ours_of(value: Any, leaves: list[Any]) -> Any:
    """An argument for the façade; tensors that need gradients are collected."""
    if isinstance(value, real.nn.Module):
        return module_like(value)
    if isinstance(value, real.Tensor):
        tensor = ours.from_numpy(np.array(value.detach().numpy()))
        if value.requires_grad:
            leaves.append(tensor.requires_grad_())
        return tensor
    if isinstance(value, real.dtype):
        return TYPES[value]
    if value in (real.nn.functional.gelu, real.nn.functional.relu):
        return getattr(nn.functional, value.__name__)
    return mapped(value, lambda part: ours_of(part, leaves))


def theirs_of(value: Any, leaves: list[Any]) -> Any:
    """An argument for PyTorch; of tensors that need gradients, new leaves."""
    if isinstance(value, real.Tensor):
        value = value.detach().clone().requires_grad_(value.requires_grad)
        if value.requires_grad:
            leaves.append(value)
        return value
    return mapped(value, lambda part: theirs_of(part, leaves))


def mapped(value: Any, change: Any) -> Any:
    if isinstance(value, real.Size):
        return tuple(value)
    if isinstance(value, (list, tuple)):
        return type(value)(change(part) for part in value)
    return {k: change(v) for k, v in value.items()} if isinstance(value, dict) else value


def module_like(module: Any) -> Any:
    """Our copy of a PyTorch module that is an argument of another: an encoder's layer."""
    size, hidden = module.linear1.in_features, module.linear1.out_features
    made = nn.TransformerEncoderLayer(
        size, module.self_attn.num_heads, hidden, module.dropout.p, layer_norm_eps=module.norm1.eps,
        batch_first=module.self_attn.batch_first, norm_first=module.norm_first, bias=module.linear1.bias is not None,
        dtype=ours.float64, activation=module.activation.__name__,
    )  # fmt: skip
    made.load_state_dict(state_of(module))
    return made.train(module.training)


def state_of(module: Any) -> dict[str, Any]:
    return {name: ours.from_numpy(np.array(value.numpy())) for name, value in module.state_dict().items()}


def tensors_in(value: Any) -> list[Any]:
    """The tensors of a result, in order."""
    if isinstance(value, (real.Tensor, ours.Tensor)):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for part in value for t in tensors_in(part)]
    return []


def number_of(result: Any, library: Any) -> Any:
    """A number that depends on every element of a result, on each in its own way; None if nothing needs gradients."""
    total = None
    for tensor in tensors_in(result):
        if tensor.requires_grad:
            weights = np.cos(1.0 + np.arange(tensor.numel())).reshape(tuple(tensor.shape))
            part = (tensor * library.from_numpy(weights)).sum()
            total = part if total is None else total + part
    return total


def assert_equal(found: Any, expected: Any, what: str) -> None:
    """Equal in shape, type and value, to 1e-9."""
    if found is None or expected is None:
        known = expected if found is None else found
        # PyTorch leaves zeros where we leave nothing, and the other way round.
        assert known is None or not np.any(np.asarray(known.detach())), (
            f"{what}: {found} where {expected} was expected"
        )
        return
    mine, theirs = found.detach().numpy(), expected.detach().numpy()
    assert mine.shape == theirs.shape, f"{what}: shape {mine.shape} instead of {theirs.shape}"
    assert mine.dtype == theirs.dtype, f"{what}: {mine.dtype} instead of {theirs.dtype}"
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=what)


def check(info: Any, sample: Any, training: bool) -> None:
    """One input: raises AssertionError where the libraries differ."""
    made = sample.constructor_input
    theirs = info.module_cls(*made.args, **made.kwargs)
    mine = getattr(nn, info.name.removeprefix("nn."))(*ours_of(made.args, []), **ours_of(made.kwargs, []))
    theirs, mine = theirs.to(real.float64).train(training), mine.to(ours.float64).train(training)
    if not info.is_lazy:
        mine.load_state_dict(state_of(theirs))
    their_leaves: list[Any] = []
    my_leaves: list[Any] = []
    args, kwargs = sample.forward_input.args, sample.forward_input.kwargs
    their_args, my_args = theirs_of(args, their_leaves), ours_of(args, my_leaves)
    their_kwargs, my_kwargs = theirs_of(kwargs, their_leaves), ours_of(kwargs, my_leaves)
    if info.is_lazy:
        theirs(*their_args, **their_kwargs)
        mine(*my_args, **my_kwargs)
        mine.load_state_dict(state_of(theirs))
    assert repr(mine) == repr(theirs), f"{mine!r} instead of {theirs!r}"
    assert list(mine.state_dict()) == list(theirs.state_dict()), f"{list(mine.state_dict())} in the state"
    expected, found = theirs(*their_args, **their_kwargs), mine(*my_args, **my_kwargs)
    assert len(tensors_in(found)) == len(tensors_in(expected))
    for f, e in zip(tensors_in(found), tensors_in(expected), strict=True):
        assert_equal(f, e, "output")
    compare_gradients(found, expected, (mine, theirs), (my_leaves, their_leaves))
    for name, value in theirs.state_dict().items():
        assert_equal(mine.state_dict()[name], value, f"state {name}")


def compare_gradients(
    found: Any, expected: Any, modules: tuple[Any, Any], leaves: tuple[list[Any], list[Any]]
) -> None:
    mine, theirs = number_of(found, ours), number_of(expected, real)
    assert (mine is None) == (theirs is None), "only one of the results needs gradients"
    if theirs is None:
        return
    mine.backward()
    theirs.backward()
    for i, (f, e) in enumerate(zip(*leaves, strict=True)):
        assert_equal(f.grad, e.grad, f"gradient of input {i}")
    parameters = dict(modules[0].named_parameters())
    for name, e in modules[1].named_parameters():
        assert_equal(parameters[name].grad, e.grad, f"gradient of {name}")


def check_entry(name: str) -> int:
    """All inputs of an entry, in training and in evaluation where they differ; returns how many were compared."""
    info = ENTRIES[name]
    count = 0
    for training in (True, False) if info.train_and_eval_differ else (True,):
        real.manual_seed(0)
        samples = info.module_inputs_func(
            info, device="cpu", dtype=real.float64, requires_grad=True, training=training
        )
        step = -(-len(samples) // SAMPLES)
        for number, sample in enumerate(samples[::step]):
            if sample.forward_input is None:
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    check(info, sample, training)
            except Exception as error:
                made = sample.constructor_input
                error.add_note(
                    f"input {number * step} ({sample.desc}): {name}{made.args}{made.kwargs}, training={training}"
                )
                raise
            count += 1
    return count


def check_errors(name: str) -> int:
    """The inputs that PyTorch refuses: the same type of exception; returns how many were compared."""
    info = ENTRIES[name]
    inputs = info.module_error_inputs_func(
        info, device="cpu", dtype=real.float64, requires_grad=True, training=True
    )
    for wrong in inputs:
        sample = wrong.module_error_input
        made = sample.constructor_input
        try:
            module = getattr(nn, name)(*ours_of(made.args, []), **ours_of(made.kwargs, []))
            if wrong.error_on == ModuleErrorEnum.FORWARD_ERROR:
                module(*ours_of(sample.forward_input.args, []), **ours_of(sample.forward_input.kwargs, []))
        except wrong.error_type:
            continue
        raise AssertionError(
            f"{name}{made.args}{made.kwargs} raised no {wrong.error_type.__name__} ({wrong.error_regex})"
        )
    return len(inputs)
