"""Changes in place: of Tensors, of views of them, and of what they are views of."""

from __future__ import annotations

from collections.abc import Callable
from sys import _getframe, getrefcount
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from chainrule.backward import Node
from chainrule.errors import InPlaceError, InputError, ShapeError
from chainrule.inplace import note_change
from chainrule.lines import Place, place
from chainrule.modes import RECORD, mode, switched
from chainrule.namespace import namespace_of
from chainrule.operators import Operators
from chainrule.primitives import Primitive, described
from chainrule.rules.index import is_basic
from chainrule.typing import DType, Shape


class View(NamedTuple):
    """What a view shows: of which Tensor, through which primitive, and the node it was made from."""

    base: Changeable
    primitive: Primitive
    parameters: dict[str, Any]
    node: Node | None

    def of(self, whole: Any) -> Any:
        """The same part of another array or Tensor of the base's shape."""
        return self.primitive(whole, **self.parameters)


class Changeable(Operators):
    """The part of a Tensor that changes it in place; a view knows its base, and is renewed when that was changed."""

    __slots__ = ("_data", "_node", "_view")

    _data: Any
    _node: Node | None
    _view: View | None
    _restores: ClassVar[bool] = True
    """Whether a change in place is taken back where a rule needs what was there, instead of being refused."""

    if TYPE_CHECKING:  # what Tensor adds

        @property
        def shape(self) -> Shape: ...  # noqa: D102
        @property
        def dtype(self) -> DType: ...  # noqa: D102
        @property
        def requires_grad(self) -> bool: ...  # noqa: D102
        @property
        def is_leaf(self) -> bool: ...  # noqa: D102
        def detach(self) -> Self: ...  # noqa: D102
        @classmethod
        def _wrapped(cls, data: Any, node: Node | None = None) -> Self: ...

    def _current_node(self) -> Node | None:
        """The node, renewed if this is a view of a Tensor that was changed in place since."""
        view = self._view
        if view is not None:
            current = view.base._current_node()
            if current is not view.node:
                with switched(on=RECORD):
                    fresh = view.of(view.base)
                self._node, self._view = fresh._node, view._replace(node=current)
        return self._node

    def _replace(self, change: Callable[[Any], Any], name: str, key: Any = ...) -> Self:
        """Change this Tensor in place to `change(self)`: its memory, its node, and those it is a view of.

        At most the elements at `key` are changed.
        """
        recording = mode.get() & RECORD
        if recording and self.requires_grad and self._root().is_leaf:
            raise InPlaceError(
                f"{name} would change a leaf of shape {self.shape} that needs a gradient; do it under "
                f"cr.no_grad(), on t.data, or make a new Tensor (t = t + ...)"
            )
        where = place(_getframe(1))
        # A rule may need the old elements, so what is recorded is the change of a copy.
        old = self._wrapped(copied(self._data), self._current_node()) if recording else self.detach()
        new = change(old)
        if isinstance(new, Changeable) and new._joined_by(self):
            return self._replace(change, name, key)
        if new.shape != self.shape:
            raise ShapeError(f"{name} on a Tensor of shape {self.shape} would give shape {new.shape}")
        self._store(new, name)
        self._note_change(where, old, new, key)
        if recording:
            self._node = new._node if isinstance(new, Changeable) else None
            self._renew_base()
        return self

    def _joined_by(self, other: Changeable) -> bool:
        """Whether a Tensor that takes values of this one has become one of its kind."""
        return False

    def _store(self, new: Any, name: str) -> None:
        values = new._data if isinstance(new, Changeable) else new
        if not isinstance(self._data, np.ndarray):
            self._data = namespace_of(values).astype(values, self.dtype)
        elif np.can_cast(values.dtype, self.dtype, "same_kind"):
            self._data[...] = values
        else:
            raise InputError(
                f"{name} would put {described(values)} into a Tensor of type {self.dtype}; convert it first"
            )

    def _note_change(self, where: Place, old: Changeable, new: Any, key: Any) -> None:
        """Note a change that was just made; one of the program is taken back where the sweep needs what was there.

        Others, such as the update of a parameter before backward(), are mistakes: the sweep refuses them.
        """
        if not self._restores or (
            old._node is None and (not isinstance(new, Changeable) or new._node is None)
        ):
            note_change(self._data, where)
        elif _is_alone(self):
            note_change(self._data, where, final=False)
        else:
            part = _part(self._data, key)
            note_change(part, where, old._data if part is self._data else _part(old._data, key).copy())

    def _root(self) -> Changeable:
        return self if self._view is None else self._view.base._root()

    def _renew_base(self) -> None:
        view = self._view
        if view is None:
            return
        base = view.base
        renewed = self._ops.view_update(base._wrapped(base._data, base._node), self, part=view.of)
        base._node = renewed._node
        self._view = view._replace(node=base._node)
        base._renew_base()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._replace(
            lambda old: self._ops.index_update(old, value, key=key), "an assignment to elements", key
        )

    def __iadd__(self, other: Any) -> Self:
        return self._replace(lambda old: old + other, "+=")

    def __isub__(self, other: Any) -> Self:
        return self._replace(lambda old: old - other, "-=")

    def __imul__(self, other: Any) -> Self:
        return self._replace(lambda old: old * other, "*=")

    def __itruediv__(self, other: Any) -> Self:
        return self._replace(lambda old: old / other, "/=")

    def __ifloordiv__(self, other: Any) -> Self:
        return self._replace(lambda old: old // other, "//=")

    def __imod__(self, other: Any) -> Self:
        return self._replace(lambda old: old % other, "%=")

    def __ipow__(self, other: Any) -> Self:
        return self._replace(lambda old: old**other, "**=")

    def __imatmul__(self, other: Any) -> Self:
        return self._replace(lambda old: old @ other, "@=")

    def fill(self, value: Any) -> None:
        """Set every element to `value`."""
        self[...] = value


def _part(data: Any, key: Any) -> Any:
    """A view of what is at a basic key; all of the array for another key."""
    if key is ... or not isinstance(data, np.ndarray) or not is_basic(key):
        return data
    keys = key if isinstance(key, tuple) else (key,)
    return data[keys if any(k is ... for k in keys) else (*keys, ...)]


def _is_alone(tensor: Changeable) -> bool:
    """Whether nothing but this Tensor can reach its memory, so that no rule needs what is there."""
    return _references(tensor) == _REFERENCES and tensor._data.base is None


def _references(tensor: Changeable) -> int:
    return getrefcount(tensor._data) if isinstance(tensor._data, np.ndarray) else 0


def copied(data: Any) -> Any:
    """The elements in memory of their own; what cannot be changed in place, as it is."""
    return data.copy() if isinstance(data, np.ndarray) else data


def _references_of_one() -> int:
    one = object.__new__(Changeable)
    one._data = np.zeros(1)
    return _references(one)


_REFERENCES = _references_of_one()
"""How many references there are to an array that only a Tensor holds."""
