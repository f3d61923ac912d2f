"""Functions with a forward and a backward pass of their own."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from sys import _getframe
from typing import Any

import numpy as np

from chainrule.backward import Cotangents, Node
from chainrule.inplace import version
from chainrule.lines import place
from chainrule.modes import RECORD, mode, switched
from chainrule.primitives import Primitive
from chainrule.tensor import _output
from chainrule.torch.errors import ArgumentError, MissingError, OperationError
from chainrule.torch.graph import node_named
from chainrule.torch.tensors import Tensor, is_symbolic


class FunctionCtx:
    """What `forward` hands on to `backward`; other values may be set as attributes."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._outputs: dict[int, int] = {}
        self._node: Any = None
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._fills_in = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors for the backward pass."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise ArgumentError(
                    f"save_for_backward can only save variables, but argument is of type {type(tensor).__name__}"
                )
        self._saved = tensors
        self._versions = tuple(-1 if t is None else version(t._data) for t in tensors)

    def save_for_forward(self, *tensors: Any) -> None:
        """Accepted, and without effect: forward mode is made from the backward pass here."""

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were kept, with their history."""
        for tensor, before in zip(self._saved, self._versions, strict=True):
            if tensor is not None and version(tensor._data) != before:
                raise OperationError(
                    "one of the variables needed for gradient computation has been modified by an inplace "
                    "operation: a "
                    f"tensor of shape {list(tensor.shape)}, saved by save_for_backward"
                )
        return tuple(self._with_history(tensor) for tensor in self._saved)

    def _with_history(self, tensor: Any) -> Any:
        node = self._node() if self._node is not None else None
        if tensor is None or id(tensor) not in self._outputs or node is None:
            return tensor
        return Tensor._wrapped(tensor._data, node)

    def mark_dirty(self, *tensors: Any) -> None:
        """Say that inputs were changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that outputs have no gradient."""
        self._constant = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether gradients that did not arrive are given as zeros (True) or as None."""
        self._fills_in = value


class _Plan:
    """What the sweep asks of an operation, answered by a user's `backward`."""

    kinds: tuple[Any, ...] = ()
    wants_xp = False

    def __init__(
        self,
        function: Any,
        ctx: FunctionCtx,
        needed: tuple[int, ...],
        count: int,
        outputs: list[Any],
        single: bool,
    ) -> None:
        self.function, self.ctx, self.needed, self.count = function, ctx, needed, count
        self.shapes = [(o._data.shape, o._data.dtype) if isinstance(o, Tensor) else None for o in outputs]
        self.primitive = Primitive(
            f"{function.__name__}(*inputs)", {}, lambda *inputs: inputs, outputs=not single
        )
        self.keeps_arrays = bool(ctx._saved)

    def pull(self, g: Any, xp: Any, kept: Any) -> tuple[Any, ...]:
        """The cotangents of the needed inputs."""
        parts = list(g) if type(g) is Cotangents else [g]
        recorded = any(isinstance(part, Tensor) for part in parts)
        with switched(off=0 if recorded else RECORD):
            found = self.function.backward(
                self.ctx, *(self._given(p, s) for p, s in zip(parts, self.shapes, strict=True))
            )
        found = found if isinstance(found, tuple) else (found,)
        if (len(found) != self.count and any(part is not None for part in found[self.count :])) or len(
            found
        ) < self.count:
            raise OperationError(
                f"function {self.function.__name__}Backward returned an incorrect number of gradients "
                f"(expected {self.count}, "
                f"got {len(found)})"
            )
        return tuple(self._returned(found[i], recorded) for i in self.needed)

    def _given(self, part: Any, shape: Any) -> Any:
        if part is not None:
            return part if isinstance(part, Tensor) else Tensor._wrapped(part)
        return Tensor._wrapped(np.zeros(*shape)) if self.ctx._fills_in and shape is not None else None

    def _returned(self, part: Any, recorded: bool) -> Any:
        if part is None:
            return None
        if not isinstance(part, Tensor):
            raise ArgumentError(
                f"expected Variable or None (got {type(part).__name__}) from {self.function.__name__}.backward"
            )
        return part if recorded else part._data


class Function:
    """A function whose `forward(ctx, *args)` and `backward(ctx, *grads)` are written by the user; called by `apply`.

    >>> from chainrule import torch
    >>> class Exp(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         out = x.exp()
    ...         ctx.save_for_backward(out)
    ...         return out
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (out,) = ctx.saved_tensors
    ...         return g * out
    >>> x = torch.tensor(0.0, requires_grad=True)
    >>> Exp.apply(x)
    tensor(1., grad_fn=<ExpBackward>)
    """

    def __init__(self, *_: Any) -> None:
        raise OperationError(
            f"{type(self).__name__}: instances of a Function are not made; define static methods forward and "
            f"backward, and call {type(self).__name__}.apply(...)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The value; to be written by the user."""
        raise MissingError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """What to keep, where `forward` is written without `ctx`; to be written by the user."""
        raise MissingError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the inputs; to be written by the user."""
        raise MissingError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it "
            "with backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function."""
        ctx = FunctionCtx()
        nodes = [a._current_node() if isinstance(a, Tensor) else None for a in args]
        ctx.needs_input_grad = tuple(node is not None for node in nodes)
        recording = bool(mode.get() & RECORD)
        with switched(off=RECORD):
            if cls.setup_context is not Function.setup_context:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
            else:
                out = cls.forward(ctx, *args)
        if not (recording and any(ctx.needs_input_grad)):
            return out
        return _recorded(cls, ctx, args, nodes, out)


def _recorded(function: Any, ctx: FunctionCtx, args: tuple[Any, ...], nodes: list[Any], out: Any) -> Any:
    single = not isinstance(out, tuple)
    outputs = [out] if single else list(out)
    needed = tuple(i for i, node in enumerate(nodes) if node is not None)
    plan: Any = _Plan(function, ctx, needed, len(args), outputs, single)
    parents = tuple(nodes[i] for i in needed)
    shape, kind = (out._data.shape, out._data.dtype) if single else (None, None)
    node = node_named(
        Node(plan, parents, (), shape, kind, place(_getframe(1))), f"{function.__name__}Backward"
    )
    ctx._node = weakref.ref(node)
    results = []
    for i, part in enumerate(outputs):
        if (
            not isinstance(part, Tensor)
            or any(part is c for c in ctx._constant)
            or part._data.dtype.kind != "f"
        ):
            results.append(part)
            continue
        own = node if single else _output(node, part._data, i, len(outputs))
        if any(part is d for d in ctx._dirty):
            part._node = own
            results.append(part)
            continue
        if not any(part is a for a in args):
            ctx._outputs[id(part)] = i
        data = part._data
        if is_symbolic(data):
            data = data.by_hand(function.__name__, [args[k]._data for k in needed])
        results.append(Tensor._wrapped(data, own))
    if not single:
        ctx._node, ctx._outputs = None, {}
        _name_outputs(ctx, results, outputs)
    return results[0] if single else tuple(results)


def _name_outputs(ctx: FunctionCtx, results: list[Any], outputs: list[Any]) -> None:
    """Saved outputs of several are unpacked with the history of the result that the user got."""
    by_id = {
        id(o): weakref.ref(r._node)
        for o, r in zip(outputs, results, strict=True)
        if isinstance(r, Tensor) and r._node
    }
    saved = ctx._saved

    def with_history(tensor: Any) -> Any:
        node = by_id[id(tensor)]() if id(tensor) in by_id else None
        return tensor if node is None else Tensor._wrapped(tensor._data, node)

    if any(id(t) in by_id for t in saved):
        ctx._with_history = with_history  # type: ignore[method-assign]


def once_differentiable(f: Callable[..., Any]) -> Callable[..., Any]:
    """For a `backward` that cannot itself be differentiated: its results have no history."""

    @functools.wraps(f)
    def call(ctx: Any, *grads: Any) -> Any:
        with switched(off=RECORD):
            return f(ctx, *grads)

    return call
