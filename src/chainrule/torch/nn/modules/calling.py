"""How a module is called: its forward pass, and the hooks before it, after it and on the way back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from chainrule import ops
from chainrule.backward import Cotangents, Node
from chainrule.torch.autograd import is_grad_enabled
from chainrule.torch.errors import MissingError, OperationError
from chainrule.torch.graph import RemovableHandle
from chainrule.torch.tensors import Tensor

_numbers = itertools.count()


class Hooks:
    """The hooks of a module."""

    _forward_hooks: dict[int, Any]
    _forward_pre_hooks: dict[int, Any]
    _backward_hooks: dict[int, Any]
    _backward_pre_hooks: dict[int, Any]
    _hook_options: dict[int, tuple[bool, bool]]
    _state_dict_hooks: dict[int, Any]
    _state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_post_hooks: dict[int, Any]

    @staticmethod
    def _no_hooks() -> dict[str, Any]:
        return {name: {} for name in Hooks.__annotations__}

    def _register(
        self,
        place: dict[int, Any],
        hook: Callable[..., Any],
        prepend: bool = False,
        options: tuple[bool, bool] = (False, False),
    ) -> RemovableHandle:
        number = next(_numbers)
        if prepend:
            others = dict(place)
            place.clear()
            place.update({number: hook} | others)
        else:
            place[number] = hook
        if any(options):
            self._hook_options[number] = options
        return RemovableHandle(lambda: place.pop(number, None))

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before the forward pass; what it returns replaces the arguments."""
        return self._register(self._forward_pre_hooks, hook, prepend, (with_kwargs, False))

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after the forward pass; what it returns replaces the output."""
        return self._register(self._forward_hooks, hook, prepend, (with_kwargs, always_call))

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` in the reverse sweep, before it enters; it may return other gradients."""
        return self._register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in the reverse sweep; it may return another `grad_input`."""
        return self._register(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Refused: PyTorch itself advises against it."""
        raise MissingError(
            "chainrule.torch has no register_backward_hook, whose gradients are those of the last operation only; "
            "use register_full_backward_hook"
        )

    # calling -----------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass, with the hooks around it."""
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            return self._called_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every module has its own."""
        raise MissingError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def _called_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for number, hook in list(self._forward_pre_hooks.items()):
            args, kwargs = self._before(hook, number, args, kwargs)
        way_back = _WayBack(self) if self._backward_hooks or self._backward_pre_hooks else None
        called: set[int] = set()
        try:
            result = self.forward(*(way_back.enter(args) if way_back else args), **kwargs)
            for number, hook in list(self._forward_hooks.items()):
                called.add(number)
                changed = self._after(hook, number, args, kwargs, result)
                result = result if changed is None else changed
        except Exception:
            for number, hook in list(self._forward_hooks.items()):
                if self._hook_options.get(number, (False, False))[1] and number not in called:
                    self._after(hook, number, args, kwargs, None)
            raise
        return way_back.leave(result) if way_back else result

    def _before(
        self, hook: Callable[..., Any], number: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if self._hook_options.get(number, (False, False))[0]:
            changed = hook(self, args, kwargs)
            if changed is None:
                return args, kwargs
            if not (isinstance(changed, tuple) and len(changed) == 2):
                raise OperationError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                )
            return changed[0], changed[1]
        changed = hook(self, args)
        return args if changed is None else changed if isinstance(changed, tuple) else (changed,), kwargs

    def _after(
        self,
        hook: Callable[..., Any],
        number: int,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
    ) -> Any:
        if self._hook_options.get(number, (False, False))[0]:
            return hook(self, args, kwargs, result)
        return hook(self, args, result)


class _WayBack:
    """One call of a module whose gradients are watched where they enter and where they leave."""

    def __init__(self, module: Hooks) -> None:
        self.module = module
        self.before, self.after = (
            list(module._backward_pre_hooks.values()),
            list(module._backward_hooks.values()),
        )
        self.count, self.watched = 0, False
        self.grad_output: tuple[Any, ...] = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, passed through one node that sees all their gradients."""
        self.count = len(args)
        places, passed = _passed_on(args, self._leaving)
        self.watched = bool(places)
        return passed

    def leave(self, result: Any) -> Any:
        """The output, passed through one node that sees all its gradients."""
        if isinstance(result, tuple):
            _, passed = _passed_on(result, self._entering)
            return type(result)(*passed) if hasattr(result, "_fields") else passed
        return _passed_on((result,), self._entering)[1][0]

    def _entering(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.before:
            grads = _as_tuple(hook(self.module, grads), grads)
        self.grad_output = grads
        if not self.watched:
            for hook in self.after:
                if hook(self.module, (None,) * self.count, grads) is not None:
                    raise OperationError("a backward hook returned a gradient for an input that needs none")
        return grads

    def _leaving(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.after:
            grads = _as_tuple(hook(self.module, grads, self.grad_output), grads)
        return grads


def _as_tuple(changed: Any, before: tuple[Any, ...]) -> tuple[Any, ...]:
    if changed is None:
        return before
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(before):
        raise OperationError(
            f"a backward hook returned {len(changed)} gradients where {len(before)} were expected"
        )
    return tuple(changed)


def _passed_on(
    values: tuple[Any, ...], seen: Callable[[tuple[Any, ...]], tuple[Any, ...]]
) -> tuple[list[int], tuple[Any, ...]]:
    """The values, the Tensors among them through one node; `seen` is called with the gradients of all."""
    places = (
        [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
        if is_grad_enabled()
        else []
    )
    if not places:
        return places, values
    passed = dict(zip(places, ops.handed_on(*(values[i] for i in places)), strict=True))
    node: Node = passed[places[0]]._node.parents[0]

    def hook(g: Any) -> Any:
        grads: list[Any] = [None] * len(values)
        for place, part in zip(places, g, strict=True):
            grads[place] = part if part is None or isinstance(part, Tensor) else Tensor._wrapped(part)
        recorded = any(isinstance(part, Tensor) for part in g)
        changed = seen(tuple(grads))
        return Cotangents(_plain(changed[place], recorded) for place in places)

    watch = node.watched()
    watch.hooks = (*watch.hooks, hook)
    return places, tuple(passed.get(i, v) for i, v in enumerate(values))


def _plain(value: Any, recorded: bool) -> Any:
    return value if value is None or recorded else value._data
