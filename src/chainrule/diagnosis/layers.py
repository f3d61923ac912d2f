"""`check_layer`: the mistake in the backward pass of a layer that was written by hand.

A layer has no loss. It is given one: the sum of its outputs, each multiplied by a random cotangent. The gradient of
that is what the layer's backward pass must return for this cotangent.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any

import numpy as np

from chainrule.diagnosis.calling import Layer, Pulled
from chainrule.diagnosis.checker import examined
from chainrule.diagnosis.mistakes import CATALOGUE
from chainrule.diagnosis.problem import Problem, as_array
from chainrule.diagnosis.report import Finding, Report
from chainrule.diagnosis.written import writable
from chainrule.graph.tracing import name_of
from chainrule.trees import leaves, mapped


def check_layer(
    forward: Any, backward: Callable[..., Any] | None = None, inputs: Any = (), params: Any = None, *,
    seconds: float = 10.0, seed: int = 0, tolerance: float | None = None, mute: tuple[str, ...] = (),
) -> Report:  # fmt: skip
    """Which mistake is in a layer's hand-written backward pass.

    `forward` and `backward` are functions, `out, cache = forward(x, w, b)` and `dx, dw, db = backward(dout, cache)`;
    `forward` may return the output alone, and `backward` take `(dout, x, w, b)`; several outputs have a cotangent
    each. Or they are methods of an object, whose parameters and gradients are found by their names (`self.W` and
    `self.dW`, `self.params["W"]` and `self.grads["W"]`, …); for an object with methods of these names,
    `check_layer(layer, inputs=x)` does. `inputs` and `params` are arrays or tuples of them, of any shapes that the
    layer takes: `forward` gets first the inputs, then the parameters. What is no array of floating-point numbers
    (integers, settings) is passed as it is.

    The layer is called with random cotangents, at the given point and at random ones, and where it takes another
    number of rows, with that too. It stays as it was, and the report is that of `check`.

    Raises InputError where the two do not fit together, and for layers that are random.

    >>> def forward(x, w):
    ...     out = np.tanh(x @ w)
    ...     return out, (x, w, out)
    >>> def backward(dout, cache):
    ...     x, w, out = cache
    ...     return dout @ w.T, x.T @ (dout * (1 - out**2))
    >>> report = check_layer(forward, backward, np.ones((3, 2)), np.ones((2, 2)) / 2)
    >>> [(f.parameter, f.code) for f in report.findings]
    [('x', 'CR101'), ('w', 'CR000')]
    """
    started = time.monotonic()
    layer = Layer(forward, backward, inputs, params)
    rng = np.random.default_rng(seed)
    options = {"seed": seed, "tolerance": tolerance, "mute": mute}
    report = _checked(layer, layer.arguments, rng, seconds=seconds, **options)
    left = seconds - (time.monotonic() - started)
    other = _with_other_rows(layer, rng) if left > 0 else None
    if other is not None:
        report = _together(report, _checked(layer, other, rng, seconds=left, **options), layer.rows(other))
    if layer.draws_again:
        layer.noise = 0
        report = _with_other_noise(
            layer, report, _checked(layer, layer.arguments, rng, seconds=1.0, **options)
        )
    report = replace(report, findings=[_in_words_of_layers(layer, f) for f in report.findings])
    return replace(report, notes=(*layer.notes, *report.notes))


def _with_other_noise(layer: Layer, report: Report, replayed: Report) -> Report:
    """The report on a backward pass that draws random numbers, beside that with the numbers of the forward pass."""
    backward = name_of(layer.functions[1])
    right = {f.parameter: f.error for f in replayed.findings if f.verdict == "correct"}
    findings = []
    for finding in report.findings:
        if finding.verdict in ("wrong", "unknown") and finding.parameter in right:
            drew = f"Use those that {layer.name} drew: keep them in the cache."
            sentence = f"{backward} draws random numbers anew. {drew}"
            finding = replace(finding, code="CR123", title=CATALOGUE["CR123"].title, sentence=sentence, verdict="wrong",
                              error_after=right[finding.parameter])  # fmt: skip
        findings.append(finding)
    note = f"{backward} draws random numbers of its own: it gives another gradient each time."
    return replace(report, findings=findings, notes=(*report.notes, note))


def _in_words_of_layers(layer: Layer, finding: Finding) -> Finding:
    """What is said of the cotangents, which the search knows only as data."""
    if not layer.unused or finding.code != "CR116":
        return finding
    backward = name_of(layer.functions[1])
    sentence = f"{' and '.join(layer.unused)}, which arrives at an output, is not used in {backward}."
    return replace(finding, sentence=sentence)


def _checked(layer: Layer, arguments: list[Any], rng: np.random.Generator, **options: Any) -> Report:
    """What `check` says of the layer at these arguments, in the layer's own names."""
    pulled = layer.tried(arguments, rng)
    point = [*(arguments[i] for i in layer.moving), *layer.held_values(), *pulled.cotangents]
    names = [layer.names[i] for i in layer.moving]
    names += [*layer.held_names(), *layer.cotangent_names(len(pulled.cotangents), names)]
    count, held = len(layer.moving), len(layer.held)

    def called(values: tuple[Any, ...]) -> Pulled:
        whole = copy.deepcopy([None if i in layer.moving else a for i, a in enumerate(arguments)])
        for position, value in zip(layer.moving, values[:count], strict=True):
            whole[position] = value
        return layer.run(whole, dict(zip(layer.held, values[count : count + held], strict=True)))

    def loss(*values: Any) -> Any:
        outputs = [leaf for _, leaf in leaves(called(values).outputs)]
        parts = [(o * g).sum() for o, g in zip(outputs, values[count + held :], strict=True)]
        return sum(parts[1:], parts[0])

    def claimed(*values: Any) -> tuple[Any, ...]:
        run = called(values)
        cotangents = iter(values[count + held :])
        found = layer.gradients(run, mapped(lambda _: next(cotangents), run.outputs))
        return (*found, *(None for _ in values[count + held :]))

    loss.__name__ = claimed.__name__ = layer.name
    loss.__signature__ = Signature([Parameter(n, Parameter.POSITIONAL_OR_KEYWORD) for n in names])  # type: ignore[attr-defined]
    problem = Problem(writable(loss, *layer.functions), tuple(map(as_array, point)), claimed)
    return examined(problem, **options, conventions=False)


# another number of rows -----------------------------------------------------------------------------------


def _with_other_rows(layer: Layer, rng: np.random.Generator) -> list[Any] | None:
    """The arguments with another length of the first axis of the inputs; None where the layer does not take it."""
    batched = [i for i in layer.moving if i < layer.inputs and np.ndim(layer.arguments[i]) > 1]
    if not batched:
        return None
    count = layer.arguments[batched[0]].shape[0]
    lengths = {n for a in layer.arguments for n in np.shape(as_array(a))}
    length = next(n for n in range(count + 2, count + 100) if n not in lengths)
    other = list(layer.arguments)
    for i in range(layer.inputs):
        value = as_array(other[i])
        if isinstance(value, np.ndarray) and value.ndim and value.shape[0] == count:
            other[i] = _rows(value, length, rng)
    try:
        layer.tried(other, rng)
    except Exception:
        return None
    return other


def _rows(value: Any, length: int, rng: np.random.Generator) -> Any:
    drawn = value[rng.integers(0, len(value), length)]
    if value.dtype.kind == "f" and not np.isin(value, (0.0, 1.0)).all():
        drawn = drawn + 0.3 * (np.std(value) or 1.0) * rng.normal(size=drawn.shape)
    return drawn.astype(value.dtype)


def _together(given: Report, other: Report, rows: int) -> Report:
    """The report at the given rows; where that at another number of rows says otherwise, what this says.

    A number that is several sizes at once at the given shapes is told apart there.
    """
    by_name = {f.parameter: f for f in other.findings}
    findings, differs = [], []
    for finding in given.findings:
        again = by_name.get(finding.parameter, finding)
        doubtful = (
            again.verdict == "wrong" and again.code != finding.code and not again.code.startswith("CR3")
        )
        if doubtful and finding.verdict in ("correct", "wrong"):
            differs.append(finding.parameter)
            finding = again
        findings.append(finding)
    notes = given.notes
    if differs:
        notes = (*notes, f"What is said of {', '.join(differs)} is found with {rows} rows.")
    return replace(given, findings=findings, notes=notes)
