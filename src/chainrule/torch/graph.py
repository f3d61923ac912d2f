"""What `grad_fn` shows: PyTorch's names of the recorded operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from chainrule.backward import Node

_NAMES = {
    "subtract": "Sub", "multiply": "Mul", "divide": "Div", "negative": "Neg", "contraction": "Bmm", "matmul": "Bmm",
    "linear": "Addmm", "permute_dims": "Permute", "matrix_transpose": "Transpose", "getitem": "Slice",
    "index_update": "IndexPut", "view_update": "CopySlices", "concatenate": "Cat", "stacked": "Stack",
    "broadcast_to": "Expand", "copy": "Clone", "astype": "ToCopy", "reshape": "View", "positive": "Alias",
    "limit": "Clamp", "cumulative_sum": "Cumsum", "cumulative_prod": "Cumprod", "log_softmax": "LogSoftmax",
    "logsumexp": "Logsumexp", "p_norm": "LinalgVectorNorm", "finite": "NanToNum", "scatter_add": "ScatterAdd",
    "mean_squared_error": "MseLoss", "inv": "LinalgInvEx", "solve": "LinalgSolveEx", "det": "LinalgDet",
    "slogdet": "LinalgSlogdet", "cholesky": "LinalgCholeskyEx", "tall_qr": "LinalgQr", "eigh": "LinalgEigh",
    "thin_svd": "LinalgSvd",
}  # fmt: skip
_EXACT = {"pow": "PowBackward0", "view_update": "CopySlices"}

_classes: dict[str, type[Node]] = {}


def _node_class(name: str) -> type[Node]:
    found = _classes.get(name)
    if found is None:
        found = _classes[name] = type("NamedNode", (Node,), {"__slots__": (), "shown": name})
    return found


def node_named(node: Node, name: str) -> Node:
    """`node`, to be shown under a name."""
    node.__class__ = _node_class(name)
    return node


def named(result: Any, name: str) -> Any:
    """`result`, whose last operation shall be shown under the name that PyTorch gives the whole function."""
    node = result._node
    if node is not None and node.plan is not None:
        node.__class__ = _node_class(name)
    return result


def all_named(results: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    """`named`, for several results."""
    return tuple(named(result, name) for result in results)


def name_of(node: Node) -> str:
    """The name that PyTorch shows for the operation that a node stands for."""
    shown = getattr(node, "shown", None)
    if shown is not None:
        return str(shown)
    if node.plan is None:
        return "AccumulateGrad"
    primitive = node.plan.primitive.name
    if primitive == "pick":
        return name_of(node.parents[0])
    if primitive in _EXACT:
        return _EXACT[primitive]
    title = _NAMES.get(primitive) or "".join(part[:1].upper() + part[1:] for part in primitive.split("_"))
    return f"{title}Backward0"


class GradFn:
    """The operation that made a tensor; one class for each of PyTorch's names."""

    __slots__ = ("_node",)

    def __init__(self, node: Node) -> None:
        self._node = node

    def name(self) -> str:
        """PyTorch's name of the operation."""
        return name_of(self._node)

    @property
    def next_functions(self) -> tuple[tuple[GradFn, int], ...]:
        """The operations that made the inputs, each with the number of its output."""
        return tuple((grad_fn_of(parent), 0) for parent in self._node.parents)

    @property
    def variable(self) -> Any:
        """Of a leaf's AccumulateGrad: the gradient holder, with `.grad`."""
        return self._node.watch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other._node is self._node

    def __hash__(self) -> int:
        return id(self._node)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self._node))}>"


_grad_fns: dict[str, type[GradFn]] = {}


def grad_fn_of(node: Node) -> GradFn:
    """What `grad_fn` gives for a node."""
    name = name_of(node)
    kind = _grad_fns.get(name)
    if kind is None:
        kind = _grad_fns[name] = type(name, (GradFn,), {"__slots__": ()})
    return kind(node)


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away again."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self.remove = remove

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()
