"""`torch.func`: transforms of functions of tensors, and of trees of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.modes import RECORD, TRANSFORM, mode, switched
from chainrule.rules.elementwise import positive
from chainrule.torch.autograd.functional import derivatives_of
from chainrule.torch.autograd.sweeps import grad as _grad
from chainrule.torch.errors import ArgumentError, OperationError, ValueOptionError
from chainrule.torch.functions.joining import stack
from chainrule.torch.functions.shapes import movedim
from chainrule.torch.tensors import Tensor
from chainrule.trees import leaves, mapped

Function = Callable[..., Any]


def _tensors(tree: Any) -> list[Any]:
    return [leaf for _, leaf in leaves(tree) if isinstance(leaf, Tensor)]


def _nested(*trees: Any) -> bool:
    """Whether what is computed may be differentiated again: inside a transform, or of tensors with a history."""
    return bool(mode.get() & TRANSFORM) or any(x.requires_grad for x in _tensors(trees))


def _input(x: Any) -> Any:
    if not isinstance(x, Tensor):
        raise ArgumentError(f"expected a Tensor to differentiate by, but was given {type(x).__name__}")
    return positive(x) if x.requires_grad else x.detach().requires_grad_()


def _zeros(x: Any) -> Any:
    return Tensor._wrapped(np.zeros_like(x._data))


def _out(tree: Any, nested: bool) -> Any:
    return tree if nested else mapped(lambda x: x.detach() if isinstance(x, Tensor) else x, tree)


def _pulled(outputs: list[Any], inputs: list[Any], cotangents: Any, create_graph: bool) -> list[Any]:
    """The gradients of all inputs, zeros where nothing depends on them."""
    pairs = [(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    found: Any = [None] * len(inputs)
    if pairs and inputs:
        found = _grad(
            [o for o, _ in pairs], inputs, [c for _, c in pairs], True, create_graph, allow_unused=True
        )
    return [_zeros(x) if g is None else g for g, x in zip(found, inputs, strict=True)]


def _placed(args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> tuple[tuple[Any, ...], Any]:
    """The arguments, with new inputs in the places `argnums`; and those inputs."""
    places = argnums if isinstance(argnums, tuple) else (argnums,)
    values = list(args)
    for i in places:
        if not -len(args) <= i < len(args):
            raise OperationError(f"Got argnum={i}, but only {len(args)} positional inputs")
        values[i] = mapped(_input, values[i])
    found = tuple(values[i] for i in places)
    return tuple(values), found if isinstance(argnums, tuple) else found[0]


def _refilled(tree: Any, values: list[Any]) -> Any:
    rest = iter(values)
    return mapped(lambda _: next(rest), tree)


def grad_and_value(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """A function that gives the gradient of `func`, and its value."""

    @functools.wraps(func, assigned=("__module__", "__name__", "__qualname__"))
    def both(*args: Any, **kwargs: Any) -> Any:
        nested = _nested(args, kwargs)
        with switched(on=RECORD | TRANSFORM):
            values, inputs = _placed(args, argnums)
            out = func(*values, **kwargs)
            out, aux = out if has_aux else (out, None)
            if not isinstance(out, Tensor):
                raise OperationError(f"Expected f(*args) to return a Tensor, got {type(out).__name__}")
            if out._data.ndim:
                raise OperationError(
                    f"Expected f(*args) to return a scalar tensor, got tensor with {out._data.ndim} dims. "
                    "Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            ones = Tensor._wrapped(np.ones_like(out._data))
            found = _refilled(inputs, _pulled([out], _tensors(inputs), [ones], nested))
        value = (out, aux) if has_aux else out
        return _out(found, nested), _out(value, nested)

    return both


def grad(func: Function, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Function:
    """A function that gives the gradient of `func` by the arguments `argnums`.

    >>> from chainrule import torch
    >>> torch.func.grad(torch.func.grad(lambda x: x**3))(torch.tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func, assigned=("__module__", "__name__", "__qualname__"))
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The value of `func(*primals)`, and a function from cotangents of the value to those of the primals."""
    nested = _nested(primals)
    with switched(on=RECORD | TRANSFORM):
        inputs = tuple(mapped(_input, p) for p in primals)
        out = func(*inputs)
        out, aux = out if has_aux else (out, None)

    def pull(*cotangents: Any, **_: Any) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        again = nested or _nested(given)
        with switched(on=RECORD | TRANSFORM):
            found = _pulled(_tensors(out), _tensors(inputs), _tensors(given), again)
        return _out(_refilled(inputs, found), again)

    value = _out(out, nested)
    return (value, pull, _out(aux, nested)) if has_aux else (value, pull)


def jvp(func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """The value of `func(*primals)`, and its derivative in the direction `tangents`."""
    if len(primals) != len(tangents):
        raise OperationError("jvp: primals and tangents must have the same structure")
    nested = _nested(primals, tangents)
    with switched(on=RECORD | TRANSFORM):
        inputs = tuple(mapped(_input, p) for p in primals)
        out = func(*inputs)
        out, aux = out if has_aux else (out, None)
        outputs = _tensors(out)
        seeds = [_zeros(o).requires_grad_() for o in outputs]
        pulled = _pulled(outputs, _tensors(inputs), seeds, True)
        found = _pulled(pulled, seeds, _tensors(tuple(tangents)), nested)
    value, along = _out(out, nested), _out(_refilled(out, found), nested)
    return (value, along, _out(aux, nested)) if has_aux else (value, along)


def jacrev(
    func: Function,
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
) -> Function:
    """A function that gives all derivatives of `func`: of shape (*output, *input)."""

    @functools.wraps(func, assigned=("__module__", "__name__", "__qualname__"))
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        nested = _nested(args, kwargs)
        with switched(on=RECORD | TRANSFORM):
            values, inputs = _placed(args, argnums)
            out = func(*values, **kwargs)
            out, aux = out if has_aux else (out, None)
            wanted = tuple(_tensors(inputs))
            found = mapped(lambda o: _refilled(inputs, list(derivatives_of(o, wanted, False, nested))), out)
        return (_out(found, nested), _out(aux, nested)) if has_aux else _out(found, nested)

    return jacobian


def jacfwd(
    func: Function,
    argnums: int | tuple[int, ...] = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    randomness: str = "error",
) -> Function:
    """As `jacrev`; here both are made by reverse sweeps."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """A function that gives the second derivatives of `func`."""
    return jacfwd(jacrev(func, argnums), argnums)


# vmap ----------------------------------------------------------------------------------------------------


def _dims_like(dims: Any, tree: Any, name: str) -> list[Any]:
    """For each tensor of a tree, the dimension to map over."""
    if isinstance(dims, int) or dims is None:
        return [dims] * len(_tensors(tree))
    if not isinstance(tree, (tuple, list, dict)) or len(dims) != len(tree):
        raise ValueOptionError(f"vmap: {name}={dims!r} does not have the structure of the values it is for")
    parts = tree.values() if isinstance(tree, dict) else tree
    given = dims.values() if isinstance(dims, dict) else dims
    return [d for part, dim in zip(parts, given, strict=True) for d in _dims_like(dim, part, name)]


def vmap(
    func: Function,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Function:
    """A function that calls `func` for each slice of its arguments and stacks the results.

    >>> from chainrule import torch
    >>> torch.vmap(torch.dot)(torch.ones(2, 3), torch.ones(2, 3))
    tensor([3., 3.])
    """

    @functools.wraps(func, assigned=("__module__", "__name__", "__qualname__"))
    def batched(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_dims, (tuple, list)) and len(in_dims) != len(args):
            raise ValueOptionError(
                f"vmap: in_dims has {len(in_dims)} elements, but there are {len(args)} arguments"
            )
        dims = _dims_like(tuple(in_dims) if isinstance(in_dims, (tuple, list)) else in_dims, args, "in_dims")
        lengths = {x._data.shape[d] for x, d in zip(_tensors(args), dims, strict=True) if d is not None}
        if len(lengths) != 1:
            raise ValueOptionError(
                f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sorted(lengths)}"
                if lengths else "vmap: at least one argument must be mapped over; all in_dims are None"
            )  # fmt: skip
        rows = [_call_slice(func, args, kwargs, dims, i) for i in range(lengths.pop())]
        if not rows:
            raise ValueOptionError(
                "vmap over a dimension of length 0 is not available here: nothing tells the shape of the result"
            )
        parts = [_tensors(row) for row in rows]
        places = _dims_like(out_dims, rows[0], "out_dims")
        return _refilled(
            rows[0], [movedim(stack([p[k] for p in parts]), 0, d or 0) for k, d in enumerate(places)]
        )

    return batched


def _call_slice(func: Function, args: Any, kwargs: Any, dims: list[Any], index: int) -> Any:
    rest = iter(dims)

    def part(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        dim = next(rest)
        return x if dim is None else x.select(dim, index)

    return func(*(mapped(part, a) if _tensors(a) else a for a in args), **kwargs)


# modules -------------------------------------------------------------------------------------------------


@contextmanager
def _replaced(module: Any, values: dict[str, Any]) -> Iterator[None]:
    """Tensors in the place of a module's parameters and buffers, for a while."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for name, value in values.items():
            *path, last = name.split(".")
            owner = functools.reduce(lambda m, part: m._modules[part], path, module)
            store = owner._parameters if last in owner._parameters else owner._buffers
            if last not in store:
                raise ValueOptionError(f"functional_call: the module has no parameter or buffer {name!r}")
            before.append((store, last, store[last]))
            store[last] = value
        yield
    finally:
        for store, last, value in reversed(before):
            store[last] = value


def functional_call(
    module: Any, parameter_and_buffer_dicts: Any, args: Any = None, kwargs: dict[str, Any] | None = None, *,
    tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Call a module with other tensors in the place of its parameters and buffers."""
    given = parameter_and_buffer_dicts
    values = dict(given) if isinstance(given, dict) else {k: v for part in given for k, v in part.items()}
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, values):
        return module(*arguments, **(kwargs or {}))
