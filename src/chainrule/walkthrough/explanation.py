"""`explain`: every number of both passes, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from sys import _getframe
from typing import Any

import numpy as np

from chainrule.errors import InputError
from chainrule.graph.differentiation import Argnums, wanted_by
from chainrule.graph.ir import Equation, Graph, Variable, text
from chainrule.graph.naming import user_frame
from chainrule.graph.recognition import recognised
from chainrule.graph.reverse import with_gradients
from chainrule.graph.tracing import Traced, parameter_names, traced
from chainrule.tensor import Tensor
from chainrule.walkthrough.account import Account, Part, account_of, arrives
from chainrule.walkthrough.history import account_of_history
from chainrule.walkthrough.records import BACKWARD, FORWARD, SourceLine
from chainrule.walkthrough.steps import Step, Walkthrough
from chainrule.walkthrough.wrong import first_wrong


def explain(
    f: Callable[..., Any] | Tensor, /, *args: Any, argnums: Argnums = None, **kwargs: Any
) -> Walkthrough:
    """Every number of the value of `f` and of its gradient, step by step, in the user's names.

    `args` and `kwargs` are what `f` is called with. `argnums` names the positional arguments whose gradient is
    explained; without it, all parameters that `f` uses (Tensors that need a gradient, such as those of a module), or
    else all arguments that have floating-point numbers. Each step is a line of NumPy, computed from the numbers of the
    lines before it. A function whose value is no single number has its forward pass explained.

    In the place of a function, a Tensor with a history explains the reverse sweep from it, which must not have been
    done yet.

    Raises UnsupportedError, with the user's line, for what cannot be traced, InputError where `argnums` does not fit
    the arguments or a Tensor has no history, and BackwardError where a history cannot be swept.

    >>> def parabola(x):
    ...     return x**2 + 4 * x
    >>> print(explain(parabola, 3.0).about("x"))
    parabola(x)
    <BLANKLINE>
    given
          x  = 3
    <BLANKLINE>
    forward
      line 2: return x**2 + 4 * x
       1  S = x ** 2                     = 9
       2  P = 4 * x                      = 12
    <BLANKLINE>
    backward
      line 2: return x**2 + 4 * x
       7  d_x_from_P = 4 * d_P           = 4
       8  d_x_from_S = 2 * d_S * x       = 6
       9  d_x = d_x_from_P + d_x_from_S  = 10
    """
    if isinstance(f, Tensor):
        if args or kwargs or argnums is not None:
            raise InputError(
                "explain() was given a Tensor and arguments; a Tensor has been computed already: call explain(tensor), "
                "or explain(function, *arguments)"
            )
        account, by = account_of_history(f, user_frame(_getframe(1)))
        return walkthrough_of(account, f"the history of {account.names[account.out]}", by)
    if not callable(f):
        raise InputError(
            f"explain() explains a function or a Tensor with a history, not {type(f).__name__}; write "
            f"explain(loss, W1, W2) for loss(W1, W2)"
        )
    with np.errstate(all="ignore"):  # the account says what NumPy would warn of
        found = traced(f, args, kwargs)
    graph, by = found.graph, _by(f, args, found, argnums)
    note = _why_no_backward(graph, by)
    account = _faithful_account(graph, [] if note else by)
    notes = (note,) if note else tuple(_without_influence(account, by))
    parameters = [*parameter_names(f, len(args)), *kwargs]
    return walkthrough_of(account, f"{graph.name}({', '.join(parameters)})", by, notes)


def _by(f: Callable[..., Any], args: tuple[Any, ...], found: Traced, argnums: Argnums) -> list[Variable]:
    """The Variables whose gradients are explained."""
    known = [v for v in found.graph.inputs if v.dtype.kind == "f"]
    if argnums is None and not known and not found.parameters:
        return []
    return list(wanted_by(f, args, found, argnums).by)


def _why_no_backward(graph: Graph, by: list[Variable]) -> str:
    """What stands in the way of a backward pass; nothing where there is one."""
    outputs = graph.outputs
    if len(outputs) != 1 or outputs[0] is not graph.result:
        return (
            f"{graph.name} returns {len(outputs)} arrays, so only its forward pass is explained; for the backward "
            f"pass, return the one number that is to be differentiated"
        )
    if math.prod(outputs[0].shape) != 1:
        return (
            f"the value has the shape {outputs[0].shape}, so only the forward pass is explained; for the backward "
            f"pass, explain one number of it, such as its sum or an element"
        )
    if not by:
        return (
            f"{graph.name} was given no floating-point numbers, so there is no gradient; write 3.0 for 3, or convert "
            f"with .astype(float)"
        )
    return ""


def _without_influence(account: Account, by: list[Variable]) -> Iterator[str]:
    """What has the gradient 0, for which there is no step."""
    for variable in by:
        if variable not in account.finished:
            name = account.names.get(variable, variable.hint)
            yield f"the value does not depend on {name}, whose gradient is 0"


def _faithful_account(graph: Graph, by: list[Variable]) -> Account:
    """The account in textbook functions, where it gives the numbers that the function as written gives."""
    account = account_of(recognised(graph), by)
    gradients = with_gradients(graph, by)[1] if by else {}
    expected = [o.value for o in (*graph.outputs, *(gradients[v] for v in by))]
    zeros = [np.zeros(v.shape, v.dtype) for v in by]
    finished = account.finished
    found = account.results()[: len(graph.outputs)]
    found += [
        account.values[finished[v]] if v in finished else zero for v, zero in zip(by, zeros, strict=True)
    ]
    return account if all(map(_same, found, expected)) else account_of(graph, by)


def _same(x: Any, y: Any) -> bool:
    """Equal up to half of the digits: more than rounding can do, and less than another formula."""
    x, y = np.asarray(x), np.asarray(y)
    if y.dtype.kind != "f":
        return np.array_equal(x, y)
    tolerance = float(np.finfo(y.dtype).eps) ** 0.5
    largest = np.max(np.abs(y), initial=0, where=np.isfinite(y))
    return np.allclose(x, y, rtol=tolerance, atol=tolerance * float(largest), equal_nan=True)


# from parts to steps ---------------------------------------------------------------------------------------


def walkthrough_of(
    account: Account, title: str, by: list[Variable], notes: tuple[str, ...] = ()
) -> Walkthrough:
    """The account as numbered steps, with the first wrong number marked."""
    equations = {v: f"{_target(p, account)} = {p.formula}" for p in account.parts for v in p.equation.outputs}
    steps = [_step(i, part, account, equations) for i, part in enumerate(account.parts, 1)]
    given = {account.names[v]: np.asarray(account.values[v]) for v in account.given}
    wrong = first_wrong(account, steps)
    if wrong is not None and wrong.step is not None:
        at = wrong.step.number - 1
        steps[at] = replace(steps[at], remark=f"first wrong number: {wrong.cause}")
        wrong = replace(wrong, step=steps[at])
    names = tuple(account.names[v] for v in by if v in account.names)
    return Walkthrough(title, given, tuple(steps), names, notes, wrong, account)


def _target(part: Part, account: Account) -> str:
    """What stands on the left: a name, or names with commas where a tuple is returned."""
    names = [account.names[v] for v in part.equation.outputs]
    return ", ".join(names) + ("," if part.equation.primitive.outputs and len(names) == 1 else "")


def _through(equation: Equation, account: Account, equations: dict[Variable, str]) -> str:
    """An equation of the forward pass, as its step is written; of a history, what is known of it."""
    found = equations.get(equation.outputs[0])
    if found is not None:
        return found
    names = {v: account.names.get(v, "…") for v in (*equation.used(), *equation.outputs)}
    return text(equation, names)


def _step(number: int, part: Part, account: Account, equations: dict[Variable, str]) -> Step:
    equation, values = part.equation, account.values
    outputs, is_marker = equation.outputs, equation.primitive is arrives
    of = equation.parameters["to"] if is_marker else outputs[0].of
    mentioned = account.mentioned(part.formula)
    is_backward = account.is_backward(outputs[0])
    is_sum = is_backward and not is_marker and of is not None
    whose = None if is_sum else part.through if is_backward else equation
    place = None if whose is None else whose.place
    return Step(
        number=number,
        side=BACKWARD if is_backward else FORWARD,
        name=_target(part, account),
        formula=part.formula,
        value=tuple(values[v] for v in outputs) if equation.primitive.outputs else values[outputs[0]],
        inputs={account.names[v]: np.asarray(values[v]) for v in mentioned},
        place=None if place is None else SourceLine.of(place),
        of="" if of is None else account.names.get(of, ""),
        through="" if part.through is None else _through(part.through, account, equations),
        parts=tuple(account.names[v] for v in mentioned) if is_sum else (),
        account=account,
    )
