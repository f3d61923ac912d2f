"""Module: a function with parameters, found through its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import StateError
from chainrule.tensor import Tensor

State = dict[str, NDArray[Any]]


class Module:
    """A function with parameters; subclasses assign attributes and define `forward`.

    Whatever is reachable through attributes, lists, tuples and dicts belongs to the module, in the order
    of definition: a Tensor that requires a gradient is a parameter; any other Tensor is saved with the
    module but not trained. No registration, no call of a parent's ``__init__``.

    >>> import numpy as np
    >>> from chainrule import Tensor
    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope = Tensor(np.array(2.0), requires_grad=True)
    ...         self.offset = Tensor(np.array(1.0), requires_grad=True)
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> [name for name, _ in line.named_parameters()]
    ['slope', 'offset']
    >>> line(np.array([0.0, 1.0])).data
    array([1., 3.])
    """

    training: bool = True

    def forward(self, x: Any) -> Tensor:
        """The module's output for the input `x`; defined by each subclass."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, x): define it in the class")

    def __call__(self, x: Any) -> Tensor:
        """What `forward` gives for `x`."""
        return self.forward(x)

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every Tensor of this module and those inside it, with its dotted name, each once."""
        for name, value in _walk(self, "", set()):
            if isinstance(value, Tensor):
                yield name, value

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """The Tensors that are trained, with their dotted names (``"0.weight"``), in definition order."""
        return ((name, tensor) for name, tensor in self.named_tensors() if tensor.requires_grad)

    def parameters(self) -> list[Tensor]:
        """The Tensors that are trained, in definition order; a shared one appears once."""
        return [parameter for _, parameter in self.named_parameters()]

    def modules(self) -> Iterator[Module]:
        """The module itself and every module inside it, each once."""
        return (value for _, value in _walk(self, "", set()) if isinstance(value, Module))

    def train(self, mode: bool = True) -> Self:
        """Switch this module and those inside it to training behaviour (or back, with ``mode=False``)."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch this module and those inside it to prediction behaviour."""
        return self.train(False)

    def state_dict(self) -> State:
        """Copies of all arrays by dotted name: what a file of this module holds."""
        return {name: np.array(tensor.data) for name, tensor in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Copy the arrays of `state` into this module.

        Names and shapes must be exactly those of `state_dict()`, and the element types convertible without
        changing their kind (float32 into float64, not complex into float). Nothing is changed on failure.

        Raises:
            StateError: a name is missing or unknown, or a shape or element type differs.
        """
        tensors = dict(self.named_tensors())
        _require_same_names(type(self).__name__, tensors.keys(), state.keys())
        arrays = {name: _fitting(name, tensor, state[name]) for name, tensor in tensors.items()}
        for name, tensor in tensors.items():
            # A new array, not a change of the old one: a graph recorded before stays valid.
            tensor.data = arrays[name]

    def arguments(self) -> str:
        """What stands between the brackets of the module's `repr`, without the modules inside it."""
        return ""

    def __repr__(self) -> str:
        children = [f"{name}: {value!r}" for name, value in _children(self)]
        if not children:
            return f"{type(self).__name__}({self.arguments()})"
        body = "\n".join(children).replace("\n", "\n  ")
        return f"{type(self).__name__}({self.arguments()}\n  {body}\n)"


def _entries(value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, Module):
        return vars(value).items()
    if isinstance(value, Mapping):
        return ((str(key), entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ((str(position), entry) for position, entry in enumerate(value))
    return ()


def _walk(value: object, name: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    # Shared parameters must be updated once, and a module may refer back to its parent.
    if id(value) in seen:
        return
    seen.add(id(value))
    yield name, value
    for key, entry in _entries(value):
        if isinstance(entry, Tensor | Module | Mapping | list | tuple):
            yield from _walk(entry, f"{name}.{key}" if name else key, seen)


def _children(module: Module) -> Iterator[tuple[str, Module]]:
    """The modules directly inside `module`, those in its containers included."""
    pending = list(_entries(module))
    while pending:
        name, value = pending.pop(0)
        if isinstance(value, Module):
            yield name, value
        else:
            pending[:0] = [(f"{name}.{key}", entry) for key, entry in _entries(value)]


def _require_same_names(owner: str, expected: Iterable[str], given: Iterable[str]) -> None:
    missing = [name for name in expected if name not in set(given)]
    unknown = [name for name in given if name not in set(expected)]
    problems = [
        f"{label} {', '.join(names)}"
        for label, names in (("lacks", missing), ("has unknown", unknown))
        if names
    ]
    if problems:
        raise StateError(f"the state {' and '.join(problems)}; {owner} needs {', '.join(expected)}")


def _fitting(name: str, tensor: Tensor, value: Any) -> NDArray[Any]:
    array = np.array(value)
    if array.shape != tensor.shape:
        raise StateError(f"{name} has shape {array.shape} in the state, but {tensor.shape} in the module")
    if not np.can_cast(array.dtype, tensor.dtype, casting="same_kind"):
        raise StateError(f"{name} is {array.dtype} in the state, which does not convert to {tensor.dtype}")
    return array.astype(tensor.dtype, copy=False)
