"""A graph as a function of JAX: compiled by XLA for the device that JAX has.

The forward functions of the primitives are array code, so they run on JAX's arrays as they are, while JAX traces
them. Those written for NumPy's memory (convolutions, writing to repeated places) have a form of their own here.
What JAX cannot trace, such as an index whose result has no fixed shape, runs on the host in NumPy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule.errors import InputError
from chainrule.graph.ir import Equation, Graph, Literal, Variable, replaced, variables_in
from chainrule.namespace import namespace_of
from chainrule.rules.index import is_basic
from chainrule.typing import Shape

Run: TypeAlias = Callable[[Sequence[Any]], tuple[Any, ...]]


def build(graph: Graph, as_numpy: bool = True) -> Run:
    """A function that takes arrays for `graph.inputs` and returns those of `graph.outputs`, compiled by JAX.

    The arrays are NumPy's or JAX's, of the shapes and types of the inputs; float64 stays float64, whatever JAX's
    own setting is. With as_numpy=False the results are JAX's arrays: parameters that are given back at the next
    call then never leave the device. Constants are read at each call, but those that are indices are fixed. An
    index that is computed, and is outside of its array, gives NaN.

    Raises InputError where JAX is not installed.
    """
    jax = _jax()
    return _runner(jax, graph, jax.jit(_function(jax, graph)), as_numpy)


def loop(graph: Graph, steps: int, carried: Sequence[int | None] | None = None, as_numpy: bool = True) -> Run:
    """Many steps in one call: some outputs of the graph become inputs of the next step, on the device.

    `carried` says for each output which input (by its number) it is at the next step; None is for an output that
    is only recorded. Without it, the first output is recorded (a loss) and those behind it are the first inputs
    (the parameters). The function takes the inputs of the first step and returns, for each output, the last value
    if it is carried, else the values of all steps, stacked.

    Raises InputError where an output does not have the shape and type of the input that it should become, and
    where JAX is not installed.
    """
    jax = _jax()
    places = _places(graph, carried)
    step = _function(jax, graph)

    def many(inputs: Sequence[Any], constants: Sequence[Any]) -> tuple[Any, ...]:
        def body(i: Any, state: Any) -> Any:
            arrays, records = list(state[0]), list(state[1])
            for k, (place, value) in enumerate(zip(places, step(arrays, constants), strict=True)):
                if place is None:
                    records[k] = records[k].at[i].set(value)
                else:
                    arrays[place] = value
            return arrays, records

        numpy = jax.numpy
        records = [
            None if place is not None else numpy.zeros((steps, *np.shape(o.value)), _dtype(o))
            for place, o in zip(places, graph.outputs, strict=True)
        ]
        arrays, records = jax.lax.fori_loop(0, steps, body, (list(map(numpy.asarray, inputs)), records))
        return tuple(r if p is None else arrays[p] for p, r in zip(places, records, strict=True))

    return _runner(jax, graph, jax.jit(many), as_numpy)


def _jax() -> Any:
    try:
        import jax
        import jax.numpy
    except ImportError as error:
        raise InputError('backend="jax" needs JAX: pip install "chainrule[jax]"') from error
    return jax


def _runner(jax: Any, graph: Graph, compiled: Callable[..., Any], as_numpy: bool) -> Run:
    arrays = [c.value for c in graph.constants]

    def run(inputs: Sequence[Any]) -> tuple[Any, ...]:
        with _double_precision(jax):
            results = compiled(list(inputs), arrays)
            return tuple(map(np.array, results)) if as_numpy else tuple(results)

    return run


def _double_precision(jax: Any) -> contextlib.AbstractContextManager[Any]:
    """JAX with 64 bits, for this thread and until the end of the block only."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)  # type: ignore[no-any-return]
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # before JAX 0.8

    return enable_x64()  # type: ignore[no-any-return]


def _places(graph: Graph, carried: Sequence[int | None] | None) -> list[int | None]:
    """Which input each output becomes, checked."""
    outputs, inputs = graph.outputs, graph.inputs
    places = [None, *range(len(outputs) - 1)] if carried is None else list(carried)
    if len(places) != len(outputs):
        raise InputError(f"loop: carried has {len(places)} entries; the graph has {len(outputs)} outputs")
    for k, (place, output) in enumerate(zip(places, outputs, strict=True)):
        if place is None:
            continue
        if not 0 <= place < len(inputs):
            raise InputError(f"loop: output {k} cannot become input {place}: there are {len(inputs)} inputs")
        kinds = [(np.shape(a.value), _dtype(a)) for a in (output, inputs[place])]
        if kinds[0] != kinds[1]:
            (shape, dtype), (other, type_) = kinds
            raise InputError(
                f"loop: output {k}, {dtype} of shape {shape}, cannot become input {place}, {type_} of shape {other}"
            )
    return places


def _dtype(atom: Any) -> np.dtype[Any]:
    return np.asarray(atom.value).dtype


# one step ------------------------------------------------------------------------------------------------------


def _function(jax: Any, graph: Graph) -> Callable[..., tuple[Any, ...]]:
    """The graph as a function that JAX can trace: of its inputs and its constants."""

    def function(inputs: Sequence[Any], constants: Sequence[Any]) -> tuple[Any, ...]:
        # Accelerators would multiply matrices of floats with fewer bits.
        with jax.default_matmul_precision("highest"):
            return _Evaluation(jax, graph, [*inputs, *constants]).results()

    return function


class _Evaluation:
    """One evaluation of a graph, on values that JAX traces."""

    def __init__(self, jax: Any, graph: Graph, arrays: Sequence[Any]) -> None:
        self.jax, self.numpy, self.graph = jax, jax.numpy, graph
        self.library = namespace_of(jax.numpy.zeros(()))
        given = zip((*graph.inputs, *graph.constants), arrays, strict=True)
        self.values: dict[Variable, Any] = {v: jax.numpy.asarray(x) for v, x in given}
        self.fixed = {c: c.value for c in graph.constants}

    def results(self) -> tuple[Any, ...]:
        """The arrays of the graph's outputs."""
        for equation in self.graph.equations:
            for variable, result in zip(equation.outputs, self.outputs(equation), strict=True):
                self.values[variable] = self.numpy.asarray(result, variable.dtype)
        outputs = self.graph.outputs
        return tuple(
            self.values[o] if isinstance(o, Variable) else self.numpy.asarray(o.value) for o in outputs
        )

    def outputs(self, equation: Equation) -> Sequence[Any]:
        """What one equation gives: as written here, by its own forward function, or else on the host."""
        arrays = [self.input(atom, equation) for atom in equation.inputs]
        # Indices that the function found outside are known, which allows for masks and repetitions.
        parameters = {
            n: replaced(p, lambda v: self.fixed.get(v, self.values[v]))
            for n, p in equation.parameters.items()
        }
        special = _SPECIAL.get(equation.name)
        out = None if special is None else special(self, equation, *arrays, **parameters)
        try:
            if out is None:
                out = equation.primitive.forward_in(self.library)(*arrays, **parameters)
        except _refusals(self.jax):
            return self.on_the_host(equation, arrays)
        results = tuple(out) if equation.primitive.outputs else (out,)
        fits = [np.shape(result) for result in results] == [v.shape for v in equation.outputs]
        return results if fits else self.on_the_host(equation, arrays)

    def input(self, atom: Any, equation: Equation) -> Any:
        """An input; an integer beside floats is a float of the result's precision, as in NumPy, not as in JAX."""
        if isinstance(atom, Literal):
            return atom.value if atom.dtype is None and not atom.shape else self.numpy.asarray(atom.value)
        value, out = self.values[atom], equation.outputs[0].dtype
        joins = equation.primitive.elementwise and atom.dtype.kind in "iu" and out.kind == "f"
        return value.astype(out) if joins else value

    def is_fixed(self, equation: Equation) -> bool:
        """Whether the parameters are known while JAX traces."""
        return all(v in self.fixed for p in equation.parameters.values() for v in variables_in(p))

    def on_the_host(self, equation: Equation, arrays: Sequence[Any]) -> Sequence[Any]:
        """The outputs, computed by NumPy when the program runs."""
        indices = list(dict.fromkeys(v for p in equation.parameters.values() for v in variables_in(p)))
        is_number = [isinstance(a, (bool, int, float)) for a in arrays]

        def compute(traced: Sequence[Any], computed: Sequence[Any]) -> tuple[Any, ...]:
            known = dict(zip(indices, map(np.asarray, computed), strict=True))
            following = iter(traced)
            given = [a if n else np.asarray(next(following)) for a, n in zip(arrays, is_number, strict=True)]
            parameters = {n: replaced(p, known.__getitem__) for n, p in equation.parameters.items()}
            out = equation.primitive.evaluate(given, parameters)
            results = tuple(out) if equation.primitive.outputs else (out,)
            return tuple(np.asarray(r, v.dtype) for r, v in zip(results, equation.outputs, strict=True))

        shapes = tuple(self.jax.ShapeDtypeStruct(v.shape, v.dtype) for v in equation.outputs)
        traced = [a for a, n in zip(arrays, is_number, strict=True) if not n]
        found: Sequence[Any] = self.jax.pure_callback(
            compute, shapes, traced, [self.values[v] for v in indices]
        )
        return found


def _refusals(jax: Any) -> tuple[type[Exception], ...]:
    """What is raised where a forward function wants the numbers themselves, or what JAX does not have."""
    return (
        jax.errors.JAXTypeError,
        jax.errors.JAXIndexError,
        RuntimeError,
        TypeError,
        AttributeError,
        BufferError,
    )


# what is written for JAX ---------------------------------------------------------------------------------------


def _getitem(run: _Evaluation, equation: Equation, x: Any, key: Any) -> Any:
    """With a computed index: what is outside gives NaN, where JAX would take the nearest element."""
    if run.is_fixed(equation) or any(v.dtype == bool for v in variables_in(equation.parameters["key"])):
        return None
    return x.at[key].get(mode="fill")


def _index_update(run: _Evaluation, equation: Equation, x: Any, y: Any, key: Any) -> Any:
    """With a fixed index. Where it repeats a place, the last write counts, which JAX does not promise."""
    if not run.is_fixed(equation):
        return None
    x, y = (run.numpy.asarray(a, equation.output.dtype) for a in (x, y))
    writer = np.full(x.shape, -1)
    written = writer[key]
    y = y.reshape(y.shape[max(y.ndim - written.ndim, 0) :])  # NumPy allows for leading axes of length 1
    if is_basic(key):
        return x.at[key].set(y)
    writer[key] = np.arange(written.size).reshape(written.shape)
    spread = run.numpy.broadcast_to(y, written.shape).reshape(-1)
    return run.numpy.where(writer >= 0, spread[writer], x) if written.size else x


def _likelihood(run: _Evaluation, equation: Equation, x: Any, labels: Any) -> Any:
    """The mean of -x, or of minus the logarithm of its softmax, at the labels."""
    if equation.name == "cross_entropy_of_labels":
        x = run.jax.nn.log_softmax(x, axis=-1)
    return -run.numpy.mean(run.numpy.take_along_axis(x, labels[..., None], axis=-1, mode="fill"))


def _convolution(run: _Evaluation, _: Equation, x: Any, w: Any, **how: Any) -> Any:
    return _convolved(run.jax, x, w, **how)


def _convolution_transposed(
    run: _Evaluation, equation: Equation, y: Any, w: Any, space: Any, **how: Any
) -> Any:
    return _adjoint(run.jax, lambda x: _convolved(run.jax, x, w, **how), equation.output.shape, y)


def _convolution_weights(
    run: _Evaluation, equation: Equation, x: Any, y: Any, kernel: Any, **how: Any
) -> Any:
    return _adjoint(run.jax, lambda w: _convolved(run.jax, x, w, **how), equation.output.shape, y)


def _patches(run: _Evaluation, _: Equation, x: Any, **how: Any) -> Any:
    return _taken_patches(run.jax, x, **how)


def _patches_added(run: _Evaluation, equation: Equation, x: Any, space: Any, **how: Any) -> Any:
    kernel = x.shape[2 : 2 + (x.ndim - 2) // 2]
    return _adjoint(
        run.jax, lambda y: _taken_patches(run.jax, y, kernel=kernel, **how), equation.output.shape, x
    )


def _convolved(jax: Any, x: Any, w: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    pairs = [(p, p) for p in padding]
    return jax.lax.conv_general_dilated(
        x, w, stride, pairs, rhs_dilation=dilation, feature_group_count=groups
    )


def _taken_patches(jax: Any, x: Any, kernel: Shape, stride: Any, padding: Any, dilation: Any) -> Any:
    """What a kernel covers at each place, axis by axis: the axes of the kernel come before those of the places."""
    x = jax.numpy.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    count = len(kernel)
    for axis, (k, s, d) in enumerate(zip(kernel, stride, dilation, strict=True)):
        places = (x.shape[2 + 2 * axis] - d * (k - 1) - 1) // s + 1
        covered = np.arange(k)[:, None] * d + np.arange(places) * s
        x = jax.numpy.take(x, covered, axis=2 + 2 * axis)
    order = [2 + 2 * axis for axis in range(count)] + [3 + 2 * axis for axis in range(count)]
    return x.transpose(0, 1, *order)


def _adjoint(jax: Any, linear: Callable[[Any], Any], shape: Shape, y: Any) -> Any:
    """The transpose of a linear function of an array of that shape, applied to `y`, which may lack last places."""
    of = jax.ShapeDtypeStruct(shape, y.dtype)
    whole = jax.eval_shape(linear, of).shape
    y = jax.numpy.pad(y, [(0, n - m) for n, m in zip(whole, y.shape, strict=True)])
    return jax.linear_transpose(linear, of)(y)[0]


_SPECIAL: dict[str, Callable[..., Any]] = {
    "getitem": _getitem, "index_update": _index_update, "convolution": _convolution,
    "convolution_transposed": _convolution_transposed, "convolution_weights": _convolution_weights,
    "patches": _patches, "patches_added": _patches_added, "negative_log_likelihood": _likelihood,
    "cross_entropy_of_labels": _likelihood,
}  # fmt: skip
