"""Primitive: a function of arrays together with its derivative rules.

    tanh   = elementwise("tanh(x)",      x=lambda g, out: g * (1 - out * out))
    divide = elementwise("divide(x, y)", x=lambda g, y: g / y,
                                         y=lambda x_bar, out: -x_bar * out)

The string is the signature: the forward function of the array library, its inputs, and after ``*`` its
parameters. A rule gives the cotangent of one input and says by the names of its own parameters what it
needs: `g` (the cotangent of the output), `out`, any input, any parameter, `<input>_shape`, `<input>_bar`
(another input's finished cotangent), `xp` (the namespace) and, where the inputs are variadic, `index`.
**What a rule names is all that stays alive** between the forward pass and the reverse sweep.

A primitive knows nothing of Tensors: an argument that carries its own meaning of "apply" (a Tensor records,
a Symbol traces) is asked to do so; on plain arrays the forward function runs and nothing else happens.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np

from chainrule.errors import ChainruleError, ContractError, InputError, ShapeError
from chainrule.namespace import NUMPY, NUMPY_TYPES, SCALARS, Library, namespace_of
from chainrule.operators import Operators
from chainrule.typing import Rule

REQUIRED = object()


class Signature(NamedTuple):
    """What the string of a primitive says."""

    name: str
    inputs: tuple[str, ...]
    variadic: bool
    parameters: dict[str, Any]


def parse(text: str) -> Signature:
    """Read a primitive's signature.

    >>> parse("sum(x, *, axis=None)")
    Signature(name='sum', inputs=('x',), variadic=False, parameters={'axis': None})
    """
    try:
        (function,) = ast.parse(f"def {text}: ...").body
        assert isinstance(function, ast.FunctionDef)
        arguments = function.args
        parameters = {
            name.arg: REQUIRED if default is None else ast.literal_eval(default)
            for name, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        }
    except (SyntaxError, ValueError, AssertionError) as error:
        raise ContractError(
            f"primitive({text!r}): expected a signature like 'sum(x, *, axis=None)': the inputs, and after * "
            f"the parameters with their defaults"
        ) from error
    inputs = tuple(a.arg for a in arguments.args)
    if arguments.vararg is not None:
        inputs += (arguments.vararg.arg,)
    return Signature(function.name, inputs, arguments.vararg is not None, parameters)


def names_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a Python function's parameters, in order.

    >>> names_of(lambda g, out: g)
    ('g', 'out')
    """
    code = getattr(function, "__code__", None)
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code else ()


class Plan:
    """What to keep and what to call when a given set of inputs needs gradients; made once per set.

    `keep(out, arrays, parameters)` picks the residuals after the forward pass; `pull(g, xp, kept)` calls
    the rules and returns the cotangents of the needed inputs, in order. Both are generated as source: a
    straight line of calls with nothing to decide while the network runs. `given` has the place of each residual that
    is an input, and the number of the input.
    """

    __slots__ = (
        "given",
        "keep",
        "keeps_arrays",
        "kinds",
        "needed",
        "primitive",
        "pull",
        "source",
        "wants_xp",
    )

    def __init__(self, primitive: Primitive, needed: tuple[int, ...]) -> None:
        self.primitive, self.needed = primitive, needed
        calls = list(primitive.calls(needed))
        names = tuple(
            dict.fromkeys(n for _, rule_names, _ in calls for n in rule_names if primitive.keeps(n))
        )
        self.wants_xp = any("xp" in rule_names for _, rule_names, _ in calls)
        self.kinds = tuple(primitive.kind(n) for n in names)
        self.keeps_arrays = any(kind is not None for kind in self.kinds)
        self.given = tuple((i, k) for i, k in enumerate(self.kinds) if k is not None and k >= 0)
        slots = {name: f"kept[{i}]" for i, name in enumerate(names)}
        kept = "".join(primitive.source_of(n) + ", " for n in names)
        lines = []
        for target, rule_names, (name, index) in calls:
            given = (str(index) if a == "index" else slots.get(a, a) for a in rule_names)
            lines.append(f"{target} = rule_{name}({', '.join(given)})")
        wanted = "".join(f"{primitive.bar(i)}, " for i in needed)
        self.source = "\n    ".join(["def pull(g, xp, kept):", *lines, f"return ({wanted})"])
        scope: dict[str, Any] = {f"rule_{name}": rule for name, rule in primitive.rules.items()}
        scope["shape_of"] = np.shape
        exec(f"def keep(out, arrays, parameters):\n    return ({kept})\n{self.source}", scope)
        self.keep, self.pull = scope["keep"], scope["pull"]


def _is_ours(forward: Callable[..., Any] | None) -> bool:
    module = getattr(forward, "__module__", None) or ""
    return forward is None or module.split(".")[0] in ("chainrule", "_operator")


class Primitive:
    """A differentiable function of arrays. Made by `primitive`; called like the function that it is."""

    __slots__ = (
        "_forwards", "arity", "broadcasts", "defaults", "differentiable", "elementwise", "forward",
        "inputs", "known_as", "name", "outputs", "parameters", "plain", "plans", "required", "rules", "selects", "text",
        "variadic", "view",
    )  # fmt: skip

    def __init__(
        self, text: str, rules: Mapping[str, Rule], forward: Callable[..., Any] | None, *,
        elementwise: bool = False, broadcasts: bool = False, view: bool = False, selects: bool = False,
        outputs: bool = False,
    ) -> None:  # fmt: skip
        self.text, self.rules, self.forward = text, dict(rules), forward
        self.name, self.inputs, self.variadic, self.parameters = parse(text)
        # Tables of what is known about a primitive go by this: a user's own `square` is not the engine's.
        self.known_as = self.name if _is_ours(forward) else f"{self.name} of one's own"
        self.arity = -1 if self.variadic else len(self.inputs)
        self.required = {n for n, d in self.parameters.items() if d is REQUIRED}
        self.defaults = {n: d for n, d in self.parameters.items() if d is not REQUIRED}
        self.elementwise, self.broadcasts = elementwise, elementwise or broadcasts
        self.view, self.selects, self.outputs = view, selects, outputs
        self.differentiable = bool(rules)
        self.plans: dict[int, Plan] = {}
        self._forwards: dict[Library, Callable[..., Any]] = {}
        self._check_contract()
        self.plain = self.forward_in(NUMPY)

    # the contract ------------------------------------------------------------------------------------

    def _check_contract(self) -> None:
        known = {"g", "out", "xp", *self.inputs, *self.parameters, *(f"{i}_shape" for i in self.inputs)}
        known |= {"index"} if self.variadic else {f"{i}_bar" for i in self.rules}
        for name, rule in self.rules.items():
            if name not in self.inputs:
                raise ContractError(f"primitive({self.text!r}): a rule for {name!r}, which is no input")
            for asked in names_of(rule):
                if asked not in known - {f"{name}_bar"}:
                    raise ContractError(
                        f"primitive({self.text!r}): the rule for {name!r} asks for {asked!r}; "
                        f"it may ask for {', '.join(sorted(known - {f'{name}_bar'}))}"
                    )
        for name in self.rules:
            self._order(name, ())

    def _order(self, name: str, path: tuple[str, ...]) -> list[str]:
        """The rules to call for the cotangent of `name`: those whose results it asks for, then its own."""
        if name in path:
            raise ContractError(f"primitive({self.text!r}): the rules {', '.join(path)} wait for each other")
        before = [a.removesuffix("_bar") for a in names_of(self.rules[name]) if a.endswith("_bar")]
        return [n for b in before for n in self._order(b, (*path, name))] + [name]

    # what a plan asks of its primitive -----------------------------------------------------------------

    def bar(self, index: int) -> str:
        """The name of the cotangent of input number `index`."""
        return f"bar_{index}" if self.variadic else f"{self.inputs[index]}_bar"

    def calls(self, needed: Iterable[int]) -> Iterable[tuple[str, tuple[str, ...], tuple[str, int]]]:
        """The rule calls that give the cotangents of the inputs `needed`: target, arguments, rule."""
        if self.variadic:
            (name,) = self.inputs
            return [(self.bar(i), names_of(self.rules[name]), (name, i)) for i in needed]
        names = dict.fromkeys(n for i in needed for n in self._order(self.inputs[i], ()))
        return [(f"{n}_bar", names_of(self.rules[n]), (n, -1)) for n in names]

    def keeps(self, name: str) -> bool:
        """Whether a rule's argument is a residual (and not given by the sweep)."""
        return name not in ("g", "xp", "index") and not name.endswith("_bar")

    def source_of(self, name: str) -> str:
        """Where the forward pass finds the residual `name`, as source."""
        if name == "out":
            return name
        if name in self.parameters:
            return f"parameters[{name!r}]"
        if name.endswith("_shape"):
            arrays = self._source_of_input(name.removesuffix("_shape"))
            return f"tuple([shape_of(a) for a in {arrays}])" if self.variadic else f"shape_of({arrays})"
        return self._source_of_input(name)

    def _source_of_input(self, name: str) -> str:
        return "tuple(arrays)" if self.variadic else f"arrays[{self.inputs.index(name)}]"

    def kind(self, name: str) -> int | None:
        """Which array a residual is: -1 for the output, i for input i, None for what is no array."""
        if name == "out":
            return -1
        return self.inputs.index(name) if name in self.inputs else None

    def plan(self, count: int, mask: int) -> Plan:
        """The plan for `count` inputs of which those in the bits of `mask` need gradients."""
        # A mask alone is no key where the number of inputs varies; the top bit tells how many there are.
        key = mask | 1 << count
        plan = self.plans.get(key)
        if plan is None:
            needed = tuple(i for i in range(count) if mask >> i & 1 and self._has_rule(i))
            plan = self.plans[key] = Plan(self, needed)
        return plan

    def _has_rule(self, index: int) -> bool:
        return self.inputs[0 if self.variadic else index] in self.rules

    # calling -------------------------------------------------------------------------------------------

    def __call__(self, *inputs: Any, **given: Any) -> Any:
        """Apply it: to plain arrays; or, by its class, to what stands for an array."""
        parameters = self.parameters | given if given else self.defaults
        as_usual = (len(inputs) == self.arity or self.variadic) and len(parameters) == len(self.parameters)
        if not as_usual or (self.required and not self.required <= given.keys()):
            inputs, parameters = self.bind(inputs, given)
        for x in inputs:
            if isinstance(x, Operators):
                return x._apply(self, inputs, parameters)
        return self.evaluate(inputs, parameters)

    def bind(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sort a call's arguments into inputs and parameters, defaults filled in."""
        if not self.variadic:
            extra = dict(zip(self.parameters, inputs[self.arity :], strict=False))
            if len(inputs) - self.arity > len(self.parameters) or extra.keys() & given.keys():
                raise ContractError(f"{self.name}() was given too many arguments; it is {self.text}")
            inputs, given = inputs[: self.arity], extra | given
            inputs += tuple(given.pop(n) for n in self.inputs[len(inputs) :] if n in given)
        parameters = self.parameters | given
        missing = [n for n, value in parameters.items() if value is REQUIRED] + list(
            self.inputs[len(inputs) :]
        )
        unknown = given.keys() - self.parameters.keys()
        if unknown or (missing and not self.variadic):
            what = f"takes no argument {sorted(unknown)[0]!r}" if unknown else f"misses {missing[0]!r}"
            raise ContractError(f"{self.name}() {what}; it is {self.text}")
        return inputs, parameters

    def evaluate(self, arrays: Iterable[Any], parameters: dict[str, Any]) -> Any:
        """The forward function on plain arrays, of whichever library they are."""
        try:
            for array in arrays:
                if type(array) not in NUMPY_TYPES:
                    break
            else:
                return self.plain(*arrays, **parameters)
            arrays = [as_plain(a) for a in arrays]
            for array in arrays:
                if isinstance(array, Operators):  # a façade's tensor holds it in the place of an array
                    return array._apply(self, tuple(arrays), parameters)
            return self.forward_in(namespace_of(*arrays))(*arrays, **parameters)
        except (ValueError, TypeError, IndexError) as error:
            raise restated(self, arrays, parameters, error) from error

    def forward_in(self, library: Library) -> Callable[..., Any]:
        """The forward function for the arrays of `library`, called like the primitive: `xp.name` in a rule."""
        found = self._forwards.get(library)
        if found is None:
            found = self._forwards[library] = self._resolved(library)
        return found

    def _resolved(self, library: Library) -> Callable[..., Any]:
        forward = self.forward or self._library_function(library)
        wants_xp = self.forward is not None and "xp" in names_of(self.forward)
        if not self.parameters and not wants_xp:
            return forward
        # Written as source, like a Plan: partial and ** would cost more than a small array's arithmetic.
        inputs = f"*{self.inputs[0]}, " if self.variadic else "".join(f"{n}, " for n in self.inputs)
        signature = inputs + ", ".join(f"{n}=defaults[{n!r}]" for n in self.parameters)
        call = inputs + "".join(f"{n}={n}, " for n in self.parameters) + ("xp=xp" if wants_xp else "")
        scope = {"forward": forward, "xp": library, "defaults": self.parameters}
        exec(f"def {self.name}({signature}): return forward({call})", scope)
        return cast(Callable[..., Any], scope[self.name])

    def _library_function(self, library: Library) -> Callable[..., Any]:
        try:
            return cast(Callable[..., Any], library.own(self.name))
        except AttributeError:
            if library is not NUMPY:
                return partial(self._through_numpy, library)
        raise ContractError(
            f"primitive({self.text!r}): NumPy has no function {self.name!r}; give one as forward="
        )

    def _through_numpy(self, library: Library, *arrays: Any, **parameters: Any) -> Any:
        """For a library that lacks the function: there and back through NumPy."""
        plain = [np.from_dlpack(a) if hasattr(a, "__dlpack__") else a for a in arrays]
        return library.own("asarray")(self.plain(*plain, **parameters))

    def __repr__(self) -> str:
        return f"primitive({self.text!r})"


def as_plain(value: Any) -> Any:
    """An argument of a primitive as an array or a scalar; nested lists become NumPy arrays."""
    if isinstance(value, (list, tuple)):
        return np.asarray(value)
    if not isinstance(value, SCALARS):
        namespace_of(value)
    return value


def described(value: Any) -> str:
    """An argument in an error message: type and shape of an array, the value of anything else.

    >>> described(np.ones((2, 3))), described(2.5)
    ('float64 of shape (2, 3)', '2.5')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def restated(
    primitive: Primitive, arrays: Iterable[Any], parameters: Mapping[str, Any], error: Exception
) -> Exception:
    """The error of a forward function, with the call that caused it."""
    if isinstance(error, ChainruleError):
        return error
    arrays = list(arrays)
    names = (
        [f"{primitive.inputs[0]}[{i}]" for i in range(len(arrays))]
        if primitive.variadic
        else primitive.inputs
    )
    call = ", ".join(
        [f"{n}: {described(a)}" for n, a in zip(names, arrays, strict=True)]
        + [f"{n}={described(v)}" for n, v in parameters.items()]
    )
    message = f"{primitive.name}({call}): {_hint(primitive, arrays) or error}"
    kept = next(
        (kind for kind in (np.linalg.LinAlgError, np.exceptions.AxisError) if isinstance(error, kind)), None
    )
    if kept is np.linalg.LinAlgError or (kept is None and isinstance(error, IndexError)):
        return (kept or IndexError)(message)
    return (ShapeError if isinstance(error, ValueError) else InputError)(message)


def _hint(primitive: Primitive, arrays: list[Any]) -> str | None:
    shapes = [np.shape(a) for a in arrays]
    if primitive.name == "matmul" and all(shapes):
        (k, n) = shapes[0][-1], shapes[1][-2 if len(shapes[1]) > 1 else 0]
        if k != n:
            return f"x has {k} columns (its last axis), but y has {n} rows; they must be equal"
    if primitive.elementwise:
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            return (
                f"the shapes {' and '.join(map(str, shapes))} do not broadcast: counted from the right, "
                f"each pair of lengths must be equal or contain a 1"
            )
    return None


def primitive(
    signature: str,
    /,
    *,
    forward: Callable[..., Any] | None = None,
    broadcasts: bool = False,
    view: bool = False,
    **rules: Rule,
) -> Primitive:
    """Declare a differentiable function: its signature, its forward function and one rule per input.

    `signature` is like ``"scale(x, *, factor=2.0)"``. `forward` takes the inputs and the parameters as
    keywords (and `xp`, the namespace, if it names it); without it, the function of that name in the array
    library is used. Each rule returns the cotangent of its input, of that input's shape; with `broadcasts`,
    it may be larger, and the engine sums it over the axes along which the input was broadcast. `view` says
    that the forward function returns a view of its input.

    Raises ContractError when a rule asks for something that it cannot have.

    >>> import chainrule as cr
    >>> softsign = cr.primitive("softsign(x)", forward=lambda x: x / (1 + abs(x)),
    ...                         x=lambda g, x, xp: g / (1 + xp.abs(x)) ** 2)
    >>> float(cr.grad(softsign)(1.0))
    0.25
    """
    return Primitive(signature, rules, forward, broadcasts=broadcasts, view=view)


def elementwise(
    signature: str, /, *, forward: Callable[..., Any] | None = None, selects: bool = False, **rules: Rule
) -> Primitive:
    """Declare a primitive that works element by element on inputs that broadcast against each other.

    Its rules do not mention broadcasting: the engine sums each cotangent back to its input's shape.
    `selects` says that the first input chooses, as in `where`, which of the other two is taken.
    """
    return Primitive(signature, rules, forward, elementwise=True, selects=selects)


def several(signature: str, /, *, forward: Callable[..., Any] | None = None, **rules: Rule) -> Primitive:
    """Declare a primitive with several outputs; in its rules, `g` and `out` are tuples."""
    return Primitive(signature, rules, forward, outputs=True)
