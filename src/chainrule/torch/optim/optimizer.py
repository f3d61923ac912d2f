"""Optimizer: parameters in groups with options, the state of each, hooks, saving and loading."""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from sys import _getframe
from typing import Any, ClassVar

import numpy as np

from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.modes import RECORD, switched
from chainrule.tensor import Tensor as EngineTensor
from chainrule.torch.dtypes import float64, get_default_dtype
from chainrule.torch.errors import ArgumentError, ValueOptionError
from chainrule.torch.graph import RemovableHandle
from chainrule.torch.tensors import Tensor

Group = dict[str, Any]
Hooks = dict[int, Callable[..., Any]]


class _Required:
    """The value of a default that every parameter group must replace."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """The base of all optimizers; a subclass defines `step`.

    Parameters
    ----------
    params
        Tensors; or dicts, each a group of Tensors under ``"params"`` with options of its own; or pairs of a
        name and a Tensor, as `named_parameters()` gives.
    defaults
        The options of the groups that do not give their own.

    >>> from chainrule.torch import optim
    >>> weight = Tensor([1.0, 2.0]).requires_grad_()
    >>> optimizer = optim.SGD([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.0, 0.0]
    """

    param_groups: list[Group]
    state: defaultdict[Any, dict[str, Any]]

    _registries: ClassVar[tuple[str, ...]] = (
        "_step_pre", "_step_post", "_state_dict_pre", "_state_dict_post", "_load_pre", "_load_post",
    )  # fmt: skip

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._forget_hooks()
        if isinstance(params, EngineTensor):
            raise ArgumentError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__module__}.{type(params).__name__}"
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueOptionError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in vars(cls):
            cls.step = _with_hooks(vars(cls)["step"])  # type: ignore[method-assign]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once; `closure`, where given, evaluates the model and returns the loss."""
        raise NotImplementedError(f"{type(self).__name__} defines no step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, so that the next `backward` starts afresh; or fill them with zeros."""
        where = None if set_to_none else place(_getframe(1))
        for group in self.param_groups:
            for parameter in group["params"]:
                if where is None:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = parameter.grad.detach()
                    parameter.grad._data[...] = 0
                    note_change(parameter.grad._data, where)

    # groups --------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of parameters, with options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise ArgumentError(f"param_group must be a dict, but got {type(param_group)}")
        group = dict(param_group)
        group["params"], names = _parameters_of(group.get("params", ()))
        if names:
            group["param_names"] = names
        if self.param_groups and bool(names) != ("param_names" in self.param_groups[0]):
            raise ValueOptionError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if names else 'without'} names to the optimizer"
            )
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueOptionError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            group.setdefault(name, default)
        self._check_parameters(group["params"])
        self.param_groups.append(group)

    def _check_parameters(self, parameters: list[Any]) -> None:
        for parameter in parameters:
            if not isinstance(parameter, EngineTensor):
                raise ArgumentError(
                    "optimizer can only optimize Tensors, but one of the params is "
                    f"{type(parameter).__name__}"
                )
            if not self.defaults.get("differentiable") and not parameter.is_leaf:
                raise ValueOptionError(
                    f"can't optimize a non-leaf Tensor (one of shape {tuple(parameter.shape)} was "
                    "computed from "
                    f"others); give the Tensor that it was made from, or t.detach().requires_grad_()"
                )
        if len(set(parameters)) != len(parameters):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will "
                "cause an error",
                stacklevel=4,
            )
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(parameters):
            raise ValueOptionError("some parameters appear in more than one parameter group")

    # saving and loading --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state of each parameter, under its number, and the groups with numbers for their parameters.

        The Tensors in it are the optimizer's own: the next step changes them.
        """
        for hook in list(self._state_dict_pre.values()):
            hook(self)
        numbers: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            own = [numbers.setdefault(parameter, len(numbers)) for parameter in group["params"]]
            groups.append(
                {name: value for name, value in group.items() if name != "params"} | {"params": own}
            )
        state = {
            numbers.get(key, key) if isinstance(key, EngineTensor) else key: s
            for key, s in self.state.items()
        }
        saved: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._state_dict_post.values()):
            saved = _replaced(saved, hook(self, saved))
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` of an optimizer of the same kind gave. Tensors in it are copied.

        Raises ValueError where groups or parameters do not fit; the optimizer is unchanged then.
        """
        saved = dict(state_dict)
        for hook in list(self._load_pre.values()):
            saved = _replaced(saved, hook(self, saved))
        for part in ("state", "param_groups"):
            if part not in saved:
                raise ValueOptionError(
                    f"a state_dict of an optimizer has 'state' and 'param_groups', but {part!r} is missing"
                )
        groups = [dict(group) for group in saved["param_groups"]]
        if len(groups) != len(self.param_groups):
            raise ValueOptionError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(groups)}, where this optimizer has {len(self.param_groups)}"
            )
        owners: dict[Any, Any] = {}
        for number, (group, new) in enumerate(zip(self.param_groups, groups, strict=True)):
            if len(group["params"]) != len(new["params"]):
                raise ValueOptionError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    "optimizer's group: "
                    f"group {number} has {len(new['params'])} parameters there and "
                    f"{len(group['params'])} here"
                )
            owners |= zip(new["params"], group["params"], strict=True)
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, values in saved["state"].items():
            owner = owners.get(key)
            state[key if owner is None else owner] = values if owner is None else self._fitted(values, owner)
        self.state, self.param_groups = state, groups
        for hook in list(self._load_post.values()):
            hook(self)

    def _fitted(self, value: Any, owner: Any, name: str = "") -> Any:
        """A copy of a part of a saved state, with its floating-point arrays in the type of the parameter."""
        if isinstance(value, EngineTensor):
            array = value._data
            if array.dtype.kind in "fc" and name != "step" and owner._data.dtype.kind in "fc" and array.ndim:
                array = array.astype(owner._data.dtype, copy=False)
            return Tensor._wrapped(np.array(array))
        if isinstance(value, dict):
            return {name: self._fitted(part, owner, name) for name, part in value.items()}
        return (
            type(value)(self._fitted(part, owner) for part in value)
            if type(value) in (list, tuple)
            else value
        )

    # hooks ---------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return other args and kwargs."""
        return self._registered("_step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return self._registered("_step_post", hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict`."""
        return self._registered("_state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` after `state_dict`; it may return another."""
        return self._registered("_state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; it may return another."""
        return self._registered("_load_pre", hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return self._registered("_load_post", hook, prepend)

    def _registered(self, registry: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        hooks, key = getattr(self, registry), next(_hook_numbers)
        setattr(self, registry, {key: hook} | hooks if prepend else hooks | {key: hook})
        return RemovableHandle(lambda: getattr(self, registry).pop(key, None))

    def _forget_hooks(self) -> None:
        for registry in self._registries:
            setattr(self, registry, {})

    # Python's protocols --------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("defaults", "state", "param_groups")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_hooks()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for number, group in enumerate(self.param_groups):
            lines += [f"Parameter Group {number}"]
            lines += [
                f"    {name}: {group[name]}"
                for name in sorted(group)
                if name not in ("params", "param_names")
            ]
            lines += [""]
        return "\n".join([*lines[:-1], ")"])

    _step_pre: Hooks
    _step_post: Hooks
    _state_dict_pre: Hooks
    _state_dict_post: Hooks
    _load_pre: Hooks
    _load_post: Hooks
    _opt_called = False
    """Whether `step` was called: a scheduler that was stepped before it says so."""


_hook_numbers = count()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A subclass's `step` with the hooks around it."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._step_pre:
            args, kwargs = _hooked_arguments(self, args, kwargs)
        result = step(self, *args, **kwargs)
        self._opt_called = True
        for hook in list(self._step_post.values()):
            hook(self, args, kwargs)
        return result

    return hooked


def _hooked_arguments(optimizer: Optimizer, args: Any, kwargs: Any) -> tuple[Any, Any]:
    for hook in list(optimizer._step_pre.values()):
        result = hook(optimizer, args, kwargs)
        if result is not None:
            if not isinstance(result, tuple) or len(result) != 2:
                raise ArgumentError(
                    f"a step pre-hook must return None or a pair (args, kwargs), but got {result!r}"
                )
            args, kwargs = result
    return args, kwargs


def _replaced(value: Any, other: Any) -> Any:
    return value if other is None else other


def _parameters_of(params: Any) -> tuple[list[Any], list[str]]:
    """The parameters of a group, and their names where they came with names."""
    if isinstance(params, EngineTensor):
        return [params], []
    if isinstance(params, (set, frozenset)):
        raise ArgumentError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of "
            "tensors in sets "
            "will change between runs. Please use a list instead."
        )
    found = list(params)
    named = [isinstance(item, tuple) for item in found]
    if not any(named):
        return found, []
    if not all(named):
        raise ValueOptionError(
            "all optimizer params should be with/without names. Some param names are missing"
        )
    return [parameter for _, parameter in found], [name for name, _ in found]


# what the subclasses share -------------------------------------------------------------------------------


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """The loss that the closure returns, computed with recording on."""
    if closure is None:
        return None
    with switched(on=RECORD):
        return closure()


def number(value: Any) -> Any:
    """An option that may be given as a Tensor of one element, as a Python number."""
    return value.item() if isinstance(value, EngineTensor) else value


def scalar(value: float) -> Tensor:
    """A number of a state, as PyTorch keeps it: 0-d, float32 unless the default is float64."""
    wide = get_default_dtype() is float64
    return Tensor._wrapped(np.array(value, np.float64 if wide else np.float32))  # type: ignore[no-any-return]


def gradients(parameters: Iterable[Any]) -> Iterator[tuple[Any, np.ndarray]]:
    """The parameters that have a gradient, with the array of it."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            yield parameter, gradient._data
