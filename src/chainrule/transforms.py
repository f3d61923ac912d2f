"""Transforms: from a function to functions that compute its derivatives.

Arguments are arrays, numbers, or trees of them (dicts, lists, tuples, named tuples, dataclasses). A function
is called with Tensors in the place of the arguments it is differentiated by. Outside of any other transform
the results are plain arrays; inside, they are Tensors, so that transforms nest to any depth.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from chainrule.backward import Node
from chainrule.errors import IndependentWarning, InputError, ShapeError
from chainrule.modes import RECORD, TRANSFORM, mode, switched
from chainrule.namespace import SCALARS, is_array, namespace_of
from chainrule.operators import example_of
from chainrule.primitives import described
from chainrule.rules.elementwise import multiply, positive
from chainrule.rules.reduce import sum as sum_
from chainrule.tensor import Tensor, check_differentiable, sweep_from
from chainrule.trees import children, leaves, mapped, rebuilt
from chainrule.typing import Shape, Tree

Function = Callable[..., Any]


def grad(f: Function, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False) -> Function:
    """A function that computes the gradient of the scalar function `f`.

    `argnums` names the positional arguments to differentiate by; for a tuple, the result is a tuple. The
    gradient has the tree and the shapes of the argument. With `has_aux`, `f` returns (value, aux), and the
    new function (gradient, aux).

    Raises InputError for integer arguments and for functions that return no scalar. Warns with
    IndependentWarning, and returns zeros, where `f` does not depend on an argument.

    >>> float(grad(lambda x: x**2)(4.0))
    8.0
    >>> grad(lambda w: (w["a"] * w["b"]).sum())({"a": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])})
    {'a': array([3., 4.]), 'b': array([1., 2.])}
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, g = both(*args, **kwargs)
        return (g, value[1]) if has_aux else g

    return gradient


def value_and_grad(f: Function, argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False) -> Function:
    """As `grad`, but the new function returns (value, gradient); with `has_aux`, ((value, aux), gradient).

    >>> value, gradient = value_and_grad(lambda x: x**3)(2.0)
    >>> float(value), float(gradient)
    (8.0, 12.0)
    """

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def both(*args: Any, **kwargs: Any) -> Any:
        nested = _nested(args, kwargs)
        with switched(on=RECORD | TRANSFORM):
            inputs, result = _called(f, argnums, args, kwargs)
            value, aux = _with_aux(f, result) if has_aux else (result, None)
            out = _scalar(f, value)
            gradients = _gradients([out], [None], inputs, nested)
            _warn_of_independence(f, inputs, gradients)
        value, aux, *found = (_handed_out(part, nested) for part in (out, aux, *_filled(inputs, gradients)))
        return ((value, aux) if has_aux else value), (
            tuple(found) if isinstance(argnums, tuple) else found[0]
        )

    return both


def vjp(f: Function, *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value of `f(*args)` and a function from a cotangent of the value to those of the arguments.

    >>> value, pull = vjp(lambda x, y: x * y, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pull(np.array([1.0, 10.0]))
    (array([ 3., 40.]), array([ 1., 20.]))
    """
    nested = _nested(args, {})
    with switched(on=RECORD | TRANSFORM):
        inputs, result = _called(f, tuple(range(len(args))), args, {})

    def pull(g: Any) -> tuple[Any, ...]:
        again = nested or _nested((g,), {})
        cotangents = [c for _, c in leaves(mapped(_checked_cotangent, result, g))]
        with switched(on=RECORD | TRANSFORM):
            found = _filled(inputs, _gradients(_list(result), cotangents, inputs, again, retain=True))
        return tuple(_handed_out(part, again) for part in found)

    return _handed_out(result, nested), pull


def jvp(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """The value of `f(*primals)` and its derivative in the direction `tangents`.

    The derivative is computed from the VJP: that is linear in its cotangent, and its own VJP is the JVP.

    >>> value, tangent = jvp(lambda x: x**2, (np.array([1.0, 2.0]),), (np.array([1.0, 0.5]),))
    >>> tangent
    array([2., 2.])
    """
    _check_directions("jvp", primals, tangents)
    nested = _nested((primals, tangents), {})
    with switched(on=RECORD | TRANSFORM):
        inputs, result = _called(f, tuple(range(len(primals))), primals, {})
        seeds = mapped(lambda out: Tensor(np.zeros_like(example_of(out)), requires_grad=True), result)
        pulled = _gradients(_list(result), _list(seeds), inputs, create_graph=True)
        given = [t for _, t in leaves(tuple(tangents))]
        pairs = zip((t for tree in inputs for t in _list(tree)), given, strict=True)
        along = sum_of(sum_(multiply(pulled[t], direction)) for t, direction in pairs if t in pulled)
        derivatives = _gradients([along], [None], [seeds], nested)
    tangent = _filled([seeds], derivatives)[0]
    return _handed_out(result, nested), _handed_out(tangent, nested)


def check_arguments(caller: str, **given: Any) -> None:
    """Raise InputError for what is no tuple (or list) of a function's arguments: an array would be taken apart by rows.

    >>> check_arguments("hvp", primals=np.ones(2))
    Traceback (most recent call last):
        ...
    chainrule.errors.InputError: hvp: primals is a tuple with an element for each argument of the function,
    but was given float64 of shape (2,); for one argument, write (x,)
    """
    for name, value in given.items():
        if not isinstance(value, (tuple, list)):
            raise InputError(
                f"{caller}: {name} is a tuple with an element for each argument of the function, but was given "
                f"{described(value)}; for one argument, write (x,)"
            )


def sum_of(terms: Iterable[Any]) -> Any:
    """The sum of scalars; 0.0 of none."""
    return sum(terms, 0.0)


def hvp(f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> Any:
    """The product of the Hessian of the scalar function `f` with `tangents`, without making the Hessian.

    >>> hvp(lambda x: (x**3).sum(), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    array([ 6., 12.])
    """
    _check_directions("hvp", primals, tangents)
    argnums = tuple(range(len(primals)))

    def along(*args: Any) -> Any:
        gradients = grad(f, argnums)(*args)
        pairs = zip(leaves(gradients), leaves(tuple(tangents)), strict=True)
        return sum_of(sum_(multiply(g, t)) for (_, g), (_, t) in pairs)

    products = grad(along, argnums)(*primals)
    return products[0] if len(primals) == 1 else products


def jacobian(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """A function that computes all derivatives of `f`: of shape (*output shape, *argument shape).

    For trees, the output's tree with the argument's tree at each leaf.

    >>> jacobian(lambda x: np.stack([x[0] * x[1], x[1]]))(np.array([2.0, 3.0]))
    array([[3., 2.],
           [0., 1.]])
    """

    @functools.wraps(f, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def all_derivatives(*args: Any, **kwargs: Any) -> Any:
        nested = _nested(args, kwargs)
        with switched(on=RECORD | TRANSFORM):
            inputs, result = _called(f, argnums, args, kwargs)
            derivatives = mapped(lambda out: _derivatives_of(out, inputs, nested), result)
        return _handed_out(derivatives if isinstance(argnums, tuple) else _first(derivatives, result), nested)

    return all_derivatives


def _first(derivatives: Tree, result: Tree) -> Tree:
    """The derivatives by the only argument, at each leaf of the result."""
    return mapped(lambda _, found: found[0], result, derivatives)


def _derivatives_of(out: Any, inputs: list[Tree], nested: bool) -> tuple[Tree, ...]:
    """All derivatives of one output: one reverse sweep for each of its elements."""
    data = np.asarray(example_of(out))
    rows = []
    for index in np.ndindex(data.shape):
        basis = np.zeros_like(data)
        basis[index] = 1
        rows.append(_filled(inputs, _gradients([out], [basis], inputs, nested, retain=True)))
    return tuple(
        mapped(lambda x, *parts: _stacked(parts, (*data.shape, *x.shape)), tree, *(row[i] for row in rows))
        for i, tree in enumerate(inputs)
    )


def _stacked(parts: tuple[Any, ...], shape: Shape) -> Any:
    if not parts:
        return np.zeros(shape)
    xp = namespace_of(*parts)
    return xp.reshape(xp.stack(list(parts), axis=0), shape)


def hessian(f: Function, argnums: int | tuple[int, ...] = 0) -> Function:
    """A function that computes the second derivatives of the scalar function `f`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def elementwise_grad(f: Function, argnum: int = 0) -> Function:
    """The derivative of a function that works element by element, at every element.

    >>> elementwise_grad(np.tanh)(np.array([0.0, 1.0]))
    array([1.        , 0.41997434])
    """

    def total(*args: Any, **kwargs: Any) -> Any:
        return sum_(f(*args, **kwargs))

    return grad(functools.wraps(f, assigned=("__module__", "__name__", "__qualname__"))(total), argnum)


# how it is done ------------------------------------------------------------------------------------------


def _name(f: Function) -> str:
    return getattr(f, "__name__", None) or repr(f)


def _called(
    f: Function, argnums: int | tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Call `f` with Tensors in the place of the arguments `argnums`; the Tensors and the result."""
    positions = argnums if isinstance(argnums, tuple) else (argnums,)
    for i in positions:
        if not isinstance(i, (int, np.integer)):
            raise InputError(
                f"{_name(f)}: argnums is the position of an argument, such as 0, or a tuple of positions, but was "
                f"given {argnums!r}"
            )
        if not -len(args) <= i < len(args):
            raise InputError(
                f"{_name(f)} is to be differentiated by positional argument {i}, but was called with {len(args)}"
            )
    positions = tuple(i % len(args) for i in positions)
    values = list(args)
    for i in dict.fromkeys(positions):
        values[i] = _as_inputs(args[i], f, i)
    return [values[i] for i in positions], f(*values, **kwargs)


def _as_inputs(tree: Tree, f: Function, position: int, path: str = "") -> Tree:
    parts = None if tree is None else children(tree)
    if parts is not None:
        return rebuilt(tree, [_as_inputs(part, f, position, path + name) for name, part in parts])
    return None if tree is None else _as_input(tree, f, position, path)


def _as_input(value: Any, f: Function, position: int, path: str) -> Tensor:
    """A Tensor that stands for an argument: a new leaf, or an alias with the argument as its history."""
    if type(value) is np.ndarray and value.dtype.kind == "f":
        return Tensor._wrapped(value, Node.leaf(value.shape, value.dtype))
    what = f"{_name(f)}, argument {position}{path}"
    if isinstance(value, Tensor):
        check_differentiable(value._data, what)
        data = value._data
        found: Tensor = (
            positive(value)
            if value.requires_grad
            else value._wrapped(data, Node.leaf(data.shape, data.dtype))
        )
        return found
    if not is_array(value) and not isinstance(value, SCALARS):
        raise InputError(
            f"{what} is {described(value)} of type {type(value).__name__}, which is neither an array nor a number"
        )
    data = value if is_array(value) else np.asarray(value)
    check_differentiable(data, what)
    return Tensor(data, requires_grad=True)


def _with_aux(f: Function, result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise InputError(
            f"{_name(f)} with has_aux=True must return (value, aux), but returned {type(result).__name__}"
        )
    return result[0], result[1]


def _scalar(f: Function, value: Any) -> Any:
    """The result of a function whose gradient is wanted, checked."""
    if isinstance(value, Tensor) and value._data.shape == ():
        return value
    name = _name(f)
    if value is None:
        raise InputError(f"{name} returned None, so it has no gradient; does it miss a return statement?")
    if isinstance(value, (tuple, list, dict)):
        raise InputError(
            f"{name} returned a {type(value).__name__}, but a gradient is that of one scalar; return the value "
            f"alone, or (value, aux) with has_aux=True; for several outputs there is cr.jacobian"
        )
    if not is_array(value) and not isinstance(value, SCALARS):
        raise InputError(
            f"{name} returned {described(value)} of type {type(value).__name__}, which is no number"
        )
    if np.shape(example_of(value)) != ():
        if np.size(example_of(value)) != 1:
            raise ShapeError(
                f"{name} returned an array of shape {np.shape(example_of(value))}, but a gradient is that of a scalar; "
                f"sum or average it, or use cr.jacobian, cr.vjp or cr.elementwise_grad"
            )
        value = value.reshape(())
    return value


def _gradients(
    outputs: list[Any], cotangents: list[Any], inputs: list[Tree], create_graph: bool, *, retain: bool = False
) -> dict[Tensor, Any]:
    """The cotangents of those Tensors among the inputs that the outputs depend on."""
    tensors = {t._current_node(): t for tree in inputs for t in _list(tree)}
    found: dict[Tensor, Any] = {}
    for out, g in zip(outputs, cotangents, strict=True):
        for end in _ends(out, tensors.values()):
            start = end._current_node()
            if start is None:
                continue
            seed = end._one() if g is None else g
            retain = retain or create_graph or len(outputs) > 1
            swept = sweep_from(end, start, seed, tensors.keys(), None, create_graph, retain)
            for node, value in swept.items():
                t = tensors[node]
                found[t] = found[t] + value if t in found else value
    return found


def _ends(out: Any, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """Where to sweep back from: from a façade's tensor, the Symbol that it holds knows the way to other Symbols."""
    if isinstance(out, Tensor):
        held = out._data
        if not isinstance(held, Tensor) or any(not t.is_traced for t in inputs):
            yield out
        if isinstance(held, Tensor) and any(t.is_traced for t in inputs):
            yield held


def _filled(inputs: list[Tree], found: dict[Tensor, Any]) -> tuple[Tree, ...]:
    """The gradients in the trees of the inputs, with zeros for those that nothing depends on."""
    return tuple(mapped(lambda t: found[t] if t in found else _zeros(t), tree) for tree in inputs)


def _zeros(tensor: Tensor) -> Any:
    return namespace_of(tensor._data).zeros_like(tensor._data)


def _list(tree: Tree) -> list[Any]:
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for _, leaf in leaves(tree)]


def _warn_of_independence(f: Function, inputs: list[Tree], found: dict[Tensor, Any]) -> None:
    for i, tree in enumerate(inputs):
        for path, leaf in leaves(tree):
            if leaf not in found:
                warnings.warn(
                    f"{_name(f)} does not depend on its argument {i}{path} of shape {leaf.shape}: the gradient is zero",
                    IndependentWarning,
                    stacklevel=4,
                )


def _nested(args: Any, kwargs: Any) -> bool:
    """Whether the derivatives may be differentiated again: inside a transform, or given Tensors."""
    return bool(mode.get() & TRANSFORM) or any(isinstance(leaf, Tensor) for _, leaf in leaves((args, kwargs)))


def _handed_out(tree: Tree, nested: bool) -> Tree:
    """Results as the caller expects them: Tensors inside a transform, plain arrays outside."""
    if nested:
        return mapped(lambda t: Tensor(t) if is_array(t) and not isinstance(t, Tensor) else t, tree)
    return mapped(example_of, tree)


def _checked_cotangent(out: Any, g: Any) -> Any:
    if np.shape(example_of(g)) != np.shape(example_of(out)):
        raise ShapeError(
            f"the cotangent has shape {np.shape(example_of(g))}, but the output {np.shape(example_of(out))}"
        )
    return g if is_array(g) else np.asarray(g, dtype=example_of(out).dtype)


def _check_directions(caller: str, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> None:
    check_arguments(caller, primals=primals, tangents=tangents)
    if len(primals) != len(tangents):
        raise InputError(f"{caller}: {len(primals)} primals, but {len(tangents)} tangents")
    for primal, tangent in zip(primals, tangents, strict=True):
        mapped(_checked_tangent, primal, tangent)


def _checked_tangent(primal: Any, tangent: Any) -> None:
    if np.shape(example_of(primal)) != np.shape(example_of(tangent)):
        raise ShapeError(
            f"a tangent has shape {np.shape(example_of(tangent))}, but its primal {np.shape(example_of(primal))}"
        )
