"""The state of a module: its parameters and persistent buffers by name, written out and read back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from sys import _getframe
from typing import Any, NamedTuple

from chainrule.inplace import note_change
from chainrule.lines import place
from chainrule.torch.errors import ArgumentError, OperationError
from chainrule.torch.nn.parameter import Parameter, uninitialized
from chainrule.torch.tensors import Tensor

EXTRA = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` found missing, and what it had no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    def __str__(self) -> str:
        return repr(self)


class States:
    """Writing and reading the state of a module."""

    _version = 1
    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: dict[int, Any]
    _state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_pre_hooks: dict[int, Any]
    _load_state_dict_post_hooks: dict[int, Any]
    _register: Callable[..., Any]

    def get_extra_state(self) -> Any:
        """What else belongs to the state; to be overridden together with `set_extra_state`."""
        raise OperationError("get_extra_state is to be overridden where a module has more state than tensors")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave."""
        raise OperationError("set_extra_state is to be overridden where a module has more state than tensors")

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, prefix, keep_vars)` before the state is written out."""
        return self._register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, state_dict, prefix, metadata)` after the state was written out."""
        return self._register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, state_dict, prefix, metadata, strict, missing, unexpected, errors)` before reading."""
        return self._register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Any:
        """Call `hook(module, incompatible_keys)` after the state was read."""
        return self._register(self._load_state_dict_post_hooks, hook)

    # writing -------------------------------------------------------------------------------------------------

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """All parameters and persistent buffers by their dotted names; they share memory with the module."""
        if args:
            given = [*args, *(destination, prefix, keep_vars)[len(args) :]]
            destination, prefix, keep_vars = given[0], given[1], given[2]
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, metadata)
            destination = destination if changed is None else changed
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in self._own_state():
            if value is not None:
                destination[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not States.get_extra_state:
            destination[prefix + EXTRA] = self.get_extra_state()

    def _own_state(self) -> Iterator[tuple[str, Any]]:
        yield from self._parameters.items()
        yield from ((n, b) for n, b in self._buffers.items() if n not in self._non_persistent_buffers_set)

    # reading -------------------------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Copy the values of `state_dict` into the module (or, with `assign`, take its tensors themselves).

        Raises RuntimeError that lists what is missing, unexpected or of another shape.
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None)
        state = OrderedDict(state_dict)
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        self._load(state, "", metadata, strict, assign, missing, unexpected, errors)
        if strict:
            if unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {', '.join(map(_quoted, unexpected))}. ")
            if missing:
                errors.insert(0, f"Missing key(s) in state_dict: {', '.join(map(_quoted, missing))}. ")
        if errors:
            raise OperationError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t" + "\n\t".join(errors)
            )
        return IncompatibleKeys(missing, unexpected)

    def _load(
        self, state: Any, prefix: str, metadata: Any, strict: bool, assign: bool, missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:  # fmt: skip
        local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = True
        self._load_from_state_dict(state, prefix, local, True, missing, unexpected, errors)
        for name, module in self._modules.items():
            if module is not None:
                inside = f"{prefix}{name}."
                own = OrderedDict((k, v) for k, v in state.items() if k.startswith(inside))
                module._load(own, inside, metadata, strict, assign, missing, unexpected, errors)
        found = IncompatibleKeys(missing, unexpected)
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, found) is not None:
                raise AssertionError(
                    "a load_state_dict post hook changes incompatible_keys in place and returns nothing"
                )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        own = {name: value for name, value in self._own_state() if value is not None}
        for name, value in own.items():
            key = prefix + name
            if key not in state_dict:
                missing_keys.append(key)
                continue
            error = self._take(
                name, value, key, state_dict[key], bool(local_metadata.get("assign_to_params_buffers"))
            )
            if error is not None:
                error_msgs.append(error)
        self._take_extra(state_dict, prefix + EXTRA, missing_keys, unexpected_keys)
        for key in state_dict:
            if key.startswith(prefix) and key != prefix + EXTRA:
                name, _, rest = key[len(prefix) :].partition(".")
                if (rest and name not in self._modules) or (not rest and name not in own):
                    unexpected_keys.append(key)

    def _take_extra(
        self, state_dict: Any, extra: str, missing_keys: list[str], unexpected_keys: list[str]
    ) -> None:
        if type(self).set_extra_state is not States.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            else:
                missing_keys.append(extra)
        elif extra in state_dict:
            unexpected_keys.append(extra)

    def _take(self, name: str, value: Any, key: str, given: Any, assign: bool) -> str | None:
        """Put one value in its place; says what is wrong with it, if anything is."""
        if not isinstance(given, Tensor):
            return (
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object '
                f"from checkpoint "
                f"but received {type(given)}"
            )
        if uninitialized(value):
            value.materialize(given.shape)
        if value._data.shape != given._data.shape and not (
            value._data.ndim == 0 and given._data.shape == (1,)
        ):
            return (
                f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, the "
                f"shape in current "
                f"model is {value.shape}."
            )
        if assign:
            kept = (
                given
                if isinstance(given, Parameter) or name in self._buffers
                else Parameter(given, value.requires_grad)
            )
            (self._buffers if name in self._buffers else self._parameters)[name] = kept
        else:
            value._data[...] = given._data.reshape(value._data.shape)
            note_change(value._data, place(_getframe(1)))
        return None


def _quoted(name: str) -> str:
    return f'"{name}"'


__all__ = ["IncompatibleKeys", "States"]
