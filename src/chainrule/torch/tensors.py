"""Tensor: the engine's Tensor with PyTorch's attributes and rules of promotion.

The functions of PyTorch, and the methods that are the same functions, are in `functions`; `methods` puts them here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from sys import _getframe
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from chainrule import namespace, ops
from chainrule.backward import Node, Watch
from chainrule.errors import ShapeError
from chainrule.inplace import note_change, version
from chainrule.lines import place
from chainrule.modes import RECORD, mode
from chainrule.primitives import Primitive
from chainrule.tensor import Tensor as EngineTensor
from chainrule.tensor import sweep_from
from chainrule.torch import printing
from chainrule.torch.dtypes import (
    BY_NUMPY,
    CPU,
    STRIDED,
    Size,
    category,
    default_float,
    device,
    dtype,
    get_default_dtype,
)  # fmt: skip
from chainrule.torch.errors import ArgumentError, DimensionError, OperationError
from chainrule.torch.graph import GradFn, RemovableHandle, grad_fn_of, name_of, named
from chainrule.torch.indexing import split_index
from chainrule.torch.promotion import FLOATING, Names, promoted_inputs
from chainrule.torch.quiet import SILENCE, quieten, restore
from chainrule.torch.sweeping import seed_of, swept

_engine_apply = EngineTensor._apply
_new = object.__new__


class Tensor(EngineTensor):
    """An array with PyTorch's methods, whose operations are recorded where gradients are wanted.

    `torch.tensor(data)` makes one from numbers; `torch.Tensor(2, 3)` one of that shape with arbitrary elements.

    >>> from chainrule import torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x**2).sum()
    tensor(5., grad_fn=<SumBackward0>)
    """

    __slots__ = ("__dict__",)
    _keeps_its_class = True

    _restores = False  # PyTorch refuses

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, *data: Any, device: Any = None) -> None:
        self._node = self._view = None
        if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
            if isinstance(data[0], Size):
                self._data = np.zeros(data[0], default_float())
                return
            if is_symbolic(data[0]):
                raise ArgumentError("torch.Tensor(x) of an array that is traced; write torch.tensor(x)")
            given = data[0]._data if isinstance(data[0], EngineTensor) else data[0]
            self._data = np.asarray(given, None if isinstance(given, np.ndarray) and isinstance(data[0], EngineTensor)
                                    else default_float())  # fmt: skip
        else:
            self._data = np.zeros(tuple(int(n) for n in data) if data else (0,), default_float())

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        namespace.register(cls, NAMES)

    # how the engine makes results ----------------------------------------------------------------------

    @classmethod
    def _wrapped(cls, data: Any, node: Node | None = None) -> Any:
        """A Tensor around an array; of the class Tensor also where this is called on a Parameter."""
        tensor = _new(Tensor)
        tensor._data = data if type(data) is np.ndarray else _held(data, node)
        tensor._node = node
        tensor._view = None
        return tensor

    @staticmethod
    def _apply(primitive: Primitive, inputs: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        """Apply a primitive with PyTorch's promotion; results are Tensors around arrays, never around scalars."""
        if primitive.elementwise:
            first, last = inputs[0], inputs[-1]
            try:
                kind = first._data.dtype
                same = first is last or (last._data.dtype is kind and len(inputs) == 2)
                whole = len(inputs) == 2 and kind.kind != "b" and primitive.name not in FLOATING
                fast = same and (kind.kind == "f" or whole)
            except AttributeError:
                number = type(last) is float or type(last) is int
                fast = number and len(inputs) == 2 and isinstance(first, Tensor) and kind.kind == "f"
            if not fast:
                inputs = promoted_inputs(primitive, inputs)
        elif primitive.name in FLOATING and inputs[0]._data.dtype.kind != "f":
            inputs = promoted_inputs(primitive, inputs)
        token = quieten(SILENCE)
        try:
            result = _engine_apply(primitive, inputs, parameters)
        except ShapeError as error:
            raise OperationError(str(error)) from error
        finally:
            restore(token)
        if primitive.outputs:
            return result
        if type(result._data) is not np.ndarray and not isinstance(result._data, EngineTensor):
            result._data = np.asarray(result._data)
        if result._node is not None and result._data.dtype.kind != "f":
            result._node = None  # integers have no gradient
        if type(result) is not Tensor:
            result.__class__ = Tensor
        return result

    # the array -----------------------------------------------------------------------------------------

    @property
    def data(self) -> Tensor:
        """A Tensor on the same memory that records nothing."""
        return self._wrapped(self._data)  # type: ignore[no-any-return]

    @data.setter
    def data(self, value: Any) -> None:
        value = value._data if isinstance(value, Tensor) else _held(value, None)
        self._data = value
        if self._node is not None and self._node.plan is None:
            self._node.shape, self._node.dtype = value.shape, value.dtype

    def _take(self, values: Any, where: Any) -> None:
        self._data[...] = values  # in its memory, as all that changes a tensor of PyTorch
        note_change(self._data, where)

    @property
    def shape(self) -> Size:
        """The lengths of the dimensions."""
        return Size(self._data.shape)

    def size(self, dim: int | None = None) -> Any:  # type: ignore[override]
        """The lengths of the dimensions, or that of one of them."""
        if dim is None:
            return Size(self._data.shape)
        count = self._data.ndim
        if not -count <= dim < count:
            raise DimensionError(
                f"Dimension out of range (expected to be in range of [{-max(count, 1)}, {max(count, 1) - 1}], "
                f"but got {dim})"
            )
        return self._data.shape[dim]

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return BY_NUMPY[self._data.dtype]

    @property
    def device(self) -> device:
        """The CPU."""
        return CPU

    @property
    def layout(self) -> Any:
        """The memory layout: strided, always."""
        return STRIDED

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return int(self._data.itemsize)

    @property
    def nbytes(self) -> int:
        """The memory of the elements, in bytes."""
        return int(self._data.nbytes)

    @property
    def _version(self) -> int:
        return version(self._data)

    is_cuda = is_sparse = is_quantized = is_meta = is_mps = False
    names: Any = None

    @property
    def real(self) -> Any:
        """The real part; of a real tensor, itself."""
        return self if self._data.dtype.kind != "c" else self._wrapped(self._data.real)

    @property
    def imag(self) -> Any:
        """The imaginary part of a complex tensor."""
        if self._data.dtype.kind != "c":
            raise OperationError("imag is not implemented for tensors with non-complex dtypes.")
        return self._wrapped(self._data.imag)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The elements as a NumPy array on the same memory."""
        if is_symbolic(self._data):  # NumPy's functions take it, and it stays traced
            return self._data.detach()  # type: ignore[no-any-return]
        if self.requires_grad and not force:
            raise OperationError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
            )
        return self._data  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self._data.size != 1:
            raise OperationError(f"a Tensor with {self._data.size} elements cannot be converted to Scalar")
        return self._data.item()

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise OperationError(
                f"Boolean value of Tensor with {'no values' if not self._data.size else 'more than one value'} is "
                f"ambiguous; use .any() or .all(), or torch.where for a choice per element"
            )
        return bool(self._data.item())

    def __index__(self) -> int:
        if self._data.dtype.kind not in "iub" or self._data.size != 1:
            raise ArgumentError("only integer tensors of a single element can be converted to an index")
        return int(self._data.item())

    def __len__(self) -> int:
        if not self._data.shape:
            raise ArgumentError("len() of a 0-d tensor")
        return int(self._data.shape[0])

    def __iter__(self) -> Iterator[Any]:
        if not self._data.shape:
            raise ArgumentError("iteration over a 0-d tensor")
        return (self[i] for i in range(self._data.shape[0]))

    # the gradient --------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows back to this Tensor."""
        return self._current_node() is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        node = self._current_node()
        if node is not None and node.plan is not None:
            if not wanted:
                raise OperationError(
                    "you can only change requires_grad flags of leaf variables. If you want to use a computed "
                    "variable in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
                )
        elif wanted and node is None:
            if self._data.dtype.kind != "f":
                raise OperationError(
                    "only Tensors of floating point dtype can require gradients"
                    + (" here; complex numbers have none" if self._data.dtype.kind == "c" else "")
                )
            self._node = Node.leaf(self._data.shape, self._data.dtype)
            self._node.watched().grad = self.__dict__.pop("_grad", None)
        elif not wanted and node is not None:
            self.__dict__["_grad"] = node.watched().grad
            self._node = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad`, in place."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad_fn(self) -> GradFn | None:
        """The operation that made this Tensor; None for a leaf."""
        node = self._current_node()
        return None if node is None or node.plan is None else grad_fn_of(node)

    @property
    def grad(self) -> Any:
        """The accumulated gradient; None before the first `backward()`."""
        node = self._current_node()
        if node is None:
            return self.__dict__.get("_grad")
        if node.plan is not None and (node.watch is None or not node.watch.retains):
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during autograd.backward(). If you indeed want the .grad field to be populated "
                "for a non-leaf Tensor, use .retain_grad() on the non-leaf Tensor.",
                stacklevel=2,
            )
        return None if node.watch is None else node.watch.grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise ArgumentError(
                    f"assigned grad expected to be a Tensor or None but got {type(value).__name__}"
                )
            if value._data.shape != self._data.shape:
                raise OperationError(
                    f"assigned grad has data of a different size: {list(value.shape)} for {list(self.shape)}"
                )
            if value._data.dtype != self._data.dtype:
                raise OperationError(
                    f"assigned grad has data of a different type: {value.dtype} for {self.dtype}"
                )
        node = self._current_node()
        if node is None:
            self.__dict__["_grad"] = value
        else:
            node.watched().grad = value

    @grad.deleter
    def grad(self) -> None:
        self.grad = None

    def retain_grad(self) -> None:
        """Keep the gradient of this computed Tensor in `.grad` too."""
        node = self._current_node()
        if node is None:
            raise OperationError("can't retain_grad on Tensor that has requires_grad=False")
        watch = node.watched()
        watch.retains = True
        # What arrives may be another node's array too, and later gradients are added to it in place.
        watch.hooks = (*watch.hooks, lambda g: g.copy() if isinstance(g, np.ndarray) else None)

    @property
    def retains_grad(self) -> bool:
        """Whether this computed Tensor keeps its gradient."""
        node = self._current_node()
        return node is not None and node.plan is not None and node.watch is not None and node.watch.retains

    def register_hook(self, hook: Callable[[Any], Any]) -> Any:
        """Call `hook(grad)` with each gradient that arrives here; what it returns replaces the gradient."""
        if self._current_node() is None:
            raise OperationError("cannot register a hook on a tensor that doesn't require gradient")
        return RemovableHandle(super().register_hook(hook))

    @classmethod
    def _deposit(cls, watch: Watch, g: Any) -> None:
        g = g if isinstance(g, Tensor) else cls._wrapped(g)
        if watch.grad is None:
            watch.grad = g
        elif g._node is None and watch.grad._node is None:
            # In place, as in PyTorch; and the sum of two 0-d arrays would be a scalar.
            np.add(watch.grad._data, g._data, out=watch.grad._data)
        else:
            watch.grad = watch.grad + g

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None,
    ) -> None:  # fmt: skip
        """Sweep back from here and add to the `.grad` of every leaf, or of `inputs` only."""
        node = self._current_node()
        if node is None:
            raise OperationError("element 0 of tensors does not require grad and does not have a grad_fn")
        seed = seed_of(self, gradient)
        if inputs is None:
            with np.errstate(all="ignore"):
                sweep_from(self, node, seed, (), self._deposit, create_graph, retain_graph)
            return
        inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        if not inputs:
            raise OperationError("'inputs' argument to backward() cannot be empty.")
        for tensor, g in zip(inputs, swept(self, seed, inputs, create_graph, retain_graph), strict=True):
            if g is not None:
                self._deposit(tensor._current_node().watched(), g)

    def detach(self) -> Any:
        """The same memory without history."""
        return self._wrapped(self._data)

    def detach_(self) -> Self:
        """Forget the history of this Tensor, in place."""
        self._node = self._view = None
        return self

    def __rtruediv__(self, other: Any) -> Any:
        # PyTorch divides a number by a tensor like this, which rounds twice.
        return ops.reciprocal(self) * other

    # indexing and changes in place ---------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        if type(key) is int:
            basic: Any = (key, ...)
            advanced = None
            if not self._data.shape:
                raise DimensionError(
                    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert it to a number"
                )
            if not -self._data.shape[0] <= key < self._data.shape[0]:
                raise DimensionError(
                    f"index {key} is out of bounds for dimension 0 with size {self._data.shape[0]}"
                )
            return named(ops.getitem(self, basic), "SelectBackward0")
        basic, advanced = split_index(key, self._data)
        if advanced is None:
            return ops.getitem(self, basic)
        part = self if basic is None else ops.getitem(self, basic)
        return named(ops.getitem(part, advanced), "IndexBackward0")

    def __setitem__(self, key: Any, value: Any) -> None:
        basic, advanced = split_index(key, self._data)
        target = self
        if advanced is None:
            advanced = basic
        elif basic is not None:
            target = ops.getitem(self, basic)
        if not isinstance(value, (EngineTensor, int, float, bool, complex)):
            value = self._wrapped(np.asarray(value))
        target._replace(lambda old: ops.index_update(old, value, advanced), "an assignment to elements")

    def _replace(self, change: Callable[[Any], Any], name: str, key: Any = ...) -> Self:
        if mode.get() & RECORD:
            return super()._replace(change, name, key)
        new = change(self)
        if new._data.shape != self._data.shape:
            raise OperationError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(new.shape)}"
            )
        self._store(new, name)
        note_change(self._data, place(_getframe(1)))
        return self

    def _store(self, new: Any, name: str) -> None:
        values = new._data if isinstance(new, Tensor) else new
        if is_symbolic(values):
            values._joined_by(self)
        if values.dtype != self._data.dtype and name not in CONVERTING:  # noqa: SIM102
            if category(values.dtype) > category(self._data.dtype):
                raise OperationError(
                    f"{name}: result type {BY_NUMPY[values.dtype].title} can't be cast to the desired output type "
                    f"{self.dtype.title}"
                )
        self._data[...] = values

    # Python's protocols --------------------------------------------------------------------------------

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        if is_symbolic(self._data):
            return f"tensor(traced, size={tuple(self.shape)}, dtype={self.dtype})"
        node = self._current_node()
        computed = node is not None and node.plan is not None
        return printing.text(
            self._data, requires_grad=node is not None and not computed,
            grad_fn=name_of(node) if computed and node is not None else None,
            default_dtype=get_default_dtype().dtype, default_complex=get_default_dtype().to_complex().dtype,
        )  # fmt: skip

    def __str__(self) -> str:
        return self.__repr__()

    def __format__(self, specification: str) -> str:
        if not self._data.shape and type(self) is Tensor:
            return format(self.item(), specification)
        return object.__format__(self, specification)

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._check_leaf("copied or pickled")
        return _rebuilt, (type(self), self._data, self.requires_grad, self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        self._check_leaf("copied")
        found = memo.get(id(self))
        if found is None:
            found = memo[id(self)] = _rebuilt(type(self), self._data.copy(), self.requires_grad, {})
            node = self._current_node()
            grad = self.__dict__.get("_grad") if node is None else node.watched().grad
            if grad is not None:
                found.grad = grad.__deepcopy__(memo)
        return found

    def _check_leaf(self, what: str) -> None:
        if not self.is_leaf:
            raise OperationError(
                f"Only Tensors created explicitly by the user support being {what} with their graph; use detach()"
            )


def is_symbolic(value: Any) -> bool:
    """Whether a value is a Symbol, which stands for an array while a function is traced."""
    return isinstance(value, EngineTensor) and value.is_traced


def _held(data: Any, node: Node | None) -> Any:
    """What a Tensor holds: an array; or a Symbol, without its history where the Tensor has none."""
    if is_symbolic(data):
        return data if node is not None else data.detach()
    return np.asarray(data)


def _rebuilt(kind: type[Tensor], data: Any, requires_grad: bool, attributes: dict[str, Any]) -> Any:
    tensor = _new(kind)
    tensor._data, tensor._node, tensor._view = data, None, None
    tensor.__dict__.update(attributes)
    tensor.requires_grad = requires_grad
    return tensor


def as_kind(kind: type[Tensor], tensor: Tensor, requires_grad: bool) -> Any:
    """A leaf of a subclass of Tensor on the memory of `tensor`: how a Parameter is made."""
    return _rebuilt(kind, tensor._data, requires_grad, {})


CONVERTING = frozenset({"an assignment to elements", "copy_", "fill_", "zero_", "random"})
"""Changes in place that convert their values to the type of the Tensor, whatever they are."""


NAMES = Names(Tensor._wrapped)
namespace.register(Tensor, NAMES)
