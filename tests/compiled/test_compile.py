"""`compile`: same arguments, same results; what is compiled again, what is refused, what is checked."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiled import (
    compile,  # noqa: A004
    function,
)
from chainrule.compiled.verification import CompiledMismatch
from chainrule.errors import InputError, UnsupportedError

pytest.importorskip("llvmlite")
from chainrule.graph.emit.llvm import making


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(making, "_KNOWN", {})
    return tmp_path / "cache"


def compilations(caplog: pytest.LogCaptureFixture) -> int:
    return sum("compiled for shapes" in record.getMessage() for record in caplog.records)


class Pair(NamedTuple):
    weight: Any
    offset: Any


@dataclasses.dataclass
class Line:
    weight: Any
    name: str = "line"


def network(parameters: Any, x: Any) -> Any:
    hidden = np.tanh(x @ parameters["W"] + parameters["b"])
    return hidden @ parameters["out"]


def parameters_of(rng: np.random.Generator, dtype: Any = float) -> dict[str, Any]:
    shapes = {"W": (3, 5), "b": (5,), "out": (5,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def same(found: Any, expected: Any) -> None:
    """Equal types, structure and numbers."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        found, expected = list(found.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        for f, e in zip(found, expected, strict=True):
            same(f, e)
    elif dataclasses.is_dataclass(expected):
        same(vars(found), vars(expected))
    elif isinstance(expected, (np.ndarray, np.generic)):
        assert found.dtype == expected.dtype
        tolerance = 1e-5 if expected.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    else:
        assert found == expected


# same arguments, same results ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_function_of_a_tree(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    p, x = parameters_of(rng, dtype), rng.normal(size=(7, 3)).astype(dtype)
    fast = compile(network)
    for _ in range(3):
        same(fast(p, x), network(p, x))
        x = rng.normal(size=(7, 3)).astype(dtype)


def test_value_and_gradient() -> None:
    rng = np.random.default_rng(0)
    p, x = parameters_of(rng), rng.normal(size=(7, 3))
    both = cr.value_and_grad(lambda p, x: (network(p, x) ** 2).mean())
    same(compile(both)(p, x), both(p, x))
    second = cr.grad(lambda w: (cr.grad(lambda w: (w**3).sum())(w) ** 2).sum())
    same(compile(second)(x), second(x))


def test_a_whole_training_step() -> None:
    rng = np.random.default_rng(0)
    p, x, y = parameters_of(rng), rng.normal(size=(7, 3)), rng.normal(size=7)

    def step(p: Any, x: Any, y: Any, rate: float) -> Any:
        loss, g = cr.value_and_grad(lambda p: ((network(p, x) - y) ** 2).mean())(p)
        return {k: p[k] - rate * g[k] for k in p}, loss

    fast = compile(step)
    mine, theirs = p, p
    for i in range(20):
        mine, loss = fast(mine, x, y, 0.1 / (i + 1))
        theirs, expected = step(theirs, x, y, 0.1 / (i + 1))
        same((mine, loss), (theirs, expected))


def test_structures_of_results_and_arguments() -> None:
    def f(pair: Pair, line: Line, things: list[Any], *, scale: float, label: str, none: None = None) -> Any:
        assert none is None
        total = pair.weight * scale + things[0]
        return {
            "pair": Pair(total, label),
            "line": Line(total + line.weight, line.name),
            3: [total.sum(), (None, 1)],
        }

    arguments = Pair(np.ones(3), np.zeros(2)), Line(np.arange(3.0)), [np.array([1.0, 2.0, 3.0])]
    fast = compile(f)
    for scale in (2.0, 3.0, 4.0):
        same(fast(*arguments, scale=scale, label="a"), f(*arguments, scale=scale, label="a"))
    same(fast(*arguments, scale=2.0, label="b"), f(*arguments, scale=2.0, label="b"))


def test_numbers_and_scalars() -> None:
    def f(x: Any, factor: Any) -> Any:
        return x * factor, (x * factor).sum()

    fast = compile(f)
    for x in (np.arange(3, dtype=np.float32), np.arange(3.0)):
        for factor in (2.0, np.float32(2), np.float64(2), 2):
            same(fast(x, factor), f(x, factor))
            same(fast(x, factor), f(x, factor))


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_numbers_that_are_given_back_take_the_fast_way(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = compile(lambda x: x * 2 + 1, backend=backend)
    x = np.zeros((), np.float32)
    for _ in range(2):
        x = fast(x)
    monkeypatch.setattr(fast, "_dispatched", None)  # the slow way
    for given in (x, np.asarray(x)):
        same(fast(given), given * np.float32(2) + np.float32(1))


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_]
)
def test_types_of_elements(dtype: Any) -> None:
    x, y = np.array([1, 0, 3]).astype(dtype), np.array([2, 2, 1]).astype(dtype)

    def f(x: Any, y: Any) -> Any:
        return x + y, x * y, x > y, cr.ops.maximum(x, y), x.sum(), cr.ops.where(x > y, x, y), cr.ops.exp(x)

    same(compile(f)(x, y), tuple(cr.ops.asarray(v) if False else v for v in f(x, y)))


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (1, 1), (3, 0)])
def test_no_axes_and_no_elements(shape: tuple[int, ...]) -> None:
    x = np.ones(shape)

    def f(x: Any) -> Any:
        return np.tanh(x) * 2, x.sum(), x + 1

    fast = compile(f)
    same(fast(x), tuple(v.data if isinstance(v, cr.Tensor) else v for v in f(x)))


# arrays of any kind -------------------------------------------------------------------------------


def test_layouts_and_alignment_of_arguments() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(6, 8))
    unaligned = np.frombuffer(b"x" + base[:3, :4].tobytes(), dtype=np.uint8)[1:].view(float).reshape(3, 4)
    swapped = base[:3, :4].astype(">f8")
    locked = base[:3, :4].copy()
    locked.flags.writeable = False

    def f(x: Any) -> Any:
        return np.exp(x) @ x.T

    fast = compile(f)
    fast(np.ones((3, 4)))
    for x in (base[::2, ::2], base[:4, :3].T, base[2::-1, 3::-1], unaligned, swapped, locked):
        same(fast(x), f(np.array(x, dtype=float)))
        same(fast(x), f(np.array(x, dtype=float)))


def test_results_are_nobody_elses_memory() -> None:
    def f(x: Any, y: Any) -> Any:
        return x, y, x.reshape(-1), x + y, x

    x = np.arange(6.0).reshape(2, 3)
    fast = compile(f)
    first = fast(x, x)
    second = fast(x, x)
    arrays = [*first, *second, x]
    for i, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[:i])
    first[3][...] = -1
    same(second[3], x + x)


def test_inside_of_another_transform_it_is_the_function_itself() -> None:
    fast = compile(lambda x: (x**3).sum())
    fast(np.ones(3))
    same(cr.grad(fast)(np.array([1.0, 2.0, 3.0])), np.array([3.0, 12.0, 27.0]))


def test_threads_call_it_at_the_same_time() -> None:
    fast = compile(lambda x: (np.tanh(x) @ np.tanh(x).T).sum(0))
    inputs = [np.random.default_rng(i).normal(size=(20, 20)) for i in range(8)]
    expected = [np.tanh(x) @ np.tanh(x).T for x in inputs]
    wrong = []

    def work(i: int) -> None:
        for _ in range(200):
            if not np.allclose(fast(inputs[i]), expected[i].sum(0)):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "x", [np.array([1 + 2j, 3j]), np.array([1, 2.5], dtype=object)], ids=["complex", "object"]
)
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_types_without_code_run_as_they_are(x: Any, backend: str, caplog: pytest.LogCaptureFixture) -> None:
    function.say_once.cache_clear()
    fast = compile(lambda x: x * 2 + x, backend=backend)
    for _ in range(3):
        found = fast(x)
        assert found.dtype == x.dtype
        assert list(found) == list(x * 3)
        x[0] += 1
    assert caplog.text.count(f"was given an array of type {x.dtype}") == 1


@pytest.mark.parametrize("name", ["square", "exp", "sigmoid", "tanh"])
@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_a_users_primitive_is_not_one_of_ours_that_is_called_alike(name: str, backend: str) -> None:
    mine = cr.primitive(f"{name}(x)", forward=lambda x: x + 100.0, x=lambda g: g * 7)
    f = cr.value_and_grad(lambda x: (mine(x * 2.0) * 3.0).sum())
    x = np.arange(3.0)
    same(compile(f, backend=backend)(x), f(x))


# what is found outside ----------------------------------------------------------------------------

rate = 0.5
table = np.arange(3.0)


def scaled(x: Any) -> Any:
    return x * rate + table


def test_what_changes_outside_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = compile(lambda x: scaled(x) * 2)
    x = np.ones(3)
    same(fast(x), 2 * scaled(x))
    monkeypatch.setitem(globals(), "rate", 0.25)
    same(fast(x), 2 * scaled(x))
    monkeypatch.setitem(globals(), "table", np.full(3, 7.0) * [1, 2, 3])
    same(fast(x), 2 * scaled(x))
    table[0] = 100.0  # in place
    same(fast(x), 2 * scaled(x))
    table[0] = 0.0


@pytest.mark.parametrize("how", ["rows that sum to 1", "a view of them", "rows of the identity", "a count"])
def test_no_rule_decides_by_what_an_array_outside_holds_now(how: str) -> None:
    outside = np.eye(3) if how == "rows of the identity" else np.eye(3)[[0, 1, 2, 0]]
    rows, labels = np.arange(4), np.array([0, 2, 1, 1])

    def loss(z: Any) -> Any:
        logs = cr.ops.log_softmax(z, axis=1)
        if how == "a count":
            return -logs[rows, labels].sum()
        if how == "rows of the identity":
            return -(outside[labels] * logs).sum()
        return -((outside[:] if how == "a view of them" else outside) * logs).sum()

    fast = compile(cr.grad(loss))
    z = np.linspace(-1, 2, 12).reshape(4, 3)
    same(fast(z), cr.grad(loss)(z))
    if how == "rows of the identity":  # what NumPy alone computes from them is computed once
        return
    outside *= 3.0
    rows[:] = [3, 0, 0, 1]
    same(fast(z), cr.grad(loss)(z))


def test_a_closure_that_changes_is_seen() -> None:
    weights = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        return x @ weights

    fast = compile(f)
    x = np.eye(2)
    same(fast(x), f(x))
    weights = np.array([3.0, -4.0])
    same(fast(x), f(x))
    weights[1] = 9.0
    same(fast(x), f(x))


def test_what_is_in_objects_outside_is_seen() -> None:
    class Model:
        def __init__(self) -> None:
            self.layers = [{"W": np.eye(2)}]
            self.scale = cr.Tensor(np.array([1.0, 2.0]))

        def __call__(self, x: Any) -> Any:
            return x @ self.layers[0]["W"] * self.scale

        def doubled(self, x: Any) -> Any:
            return 2 * self(x)

    model = Model()
    x = np.array([[3.0, 5.0]])
    for f in (lambda x: model(x), model.doubled, model):
        fast = compile(f)
        same(fast(x), f(x).data)
        model.layers[0]["W"] = model.layers[0]["W"] + 1
        same(fast(x), f(x).data)
        model.scale.data = np.array([7.0, -1.0])
        same(fast(x), f(x).data)
        model.layers = [{"W": np.ones((2, 2))}]
        same(fast(x), f(x).data)


# compiling again ----------------------------------------------------------------------------------


def test_a_new_shape_is_compiled_once_more(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "chainrule")
    fast = compile(lambda x, n: x.sum() * n)
    for _ in range(3):
        for x, n in ((np.ones(3), 2), (np.ones(4), 2), (np.ones(3, np.float32), 2), (np.ones(3), 3)):
            assert fast(x, n) == x.size * n
    assert compilations(caplog) == 4


def test_the_fifth_compilation_in_a_row_warns() -> None:
    fast = compile(lambda x: x.sum())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(1, 5):
            fast(np.ones(n))
    with pytest.warns(
        RuntimeWarning,
        match=r"5 times in a row: argument \[0\] changed from float64 of shape \(4,\) to float64 of shape \(5,\)",
    ):
        fast(np.ones(5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fast(np.ones(6))


# what cannot be compiled --------------------------------------------------------------------------


def test_bad_requests() -> None:
    with pytest.raises(InputError, match="backend='cuda'"):
        compile(np.tanh, backend="cuda")
    with pytest.raises(InputError, match="expected a function, but was given float"):
        compile(3.0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="was not called yet"):
        compile(network).report()


def test_a_branch_on_a_value_is_refused_with_its_line() -> None:
    def f(x: Any) -> Any:
        return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match="if x.sum"):
        compile(f)(np.ones(3))


def test_random_numbers_are_refused() -> None:
    rng = np.random.default_rng(0)
    x = np.ones(3)
    for f in (lambda x: x * rng.random(3), lambda x: x * float(rng.random())):
        with pytest.raises(UnsupportedError, match="finds other numbers each time"):
            compile(f)(x)
    mask = rng.random(3) > 0.5
    same(compile(lambda x: x * mask)(x), x * mask)


def test_values_that_are_read_behind_the_trace_are_refused() -> None:
    def f(labels: Any) -> Any:
        return labels * getattr(labels, "_data", labels).copy()

    with pytest.raises(UnsupportedError, match="reads behind the trace's back"):
        compile(f)(np.array([1, 2, 3]))


def test_a_strided_array_outside_is_read_at_each_call() -> None:
    table = np.arange(8.0)
    every_second = table[::2]
    fast = compile(lambda x: x * every_second)
    x = np.ones(4)
    same(fast(x), x * every_second)
    table[0] = 50.0
    same(fast(x), x * every_second)


def test_errors_of_the_function_are_its_own() -> None:
    fast = compile(lambda x, i: x[i])
    x = np.arange(4.0)
    same(fast(x, np.array([3, -4])), x[[3, -4]])
    with pytest.raises(IndexError, match="out of bounds"):
        fast(x, np.array([4, 0]))
    with pytest.raises(IndexError, match="out of bounds"):
        fast(x, np.array([0, -5]))


def test_what_has_no_native_code_is_computed_by_numpy() -> None:
    def f(x: Any) -> Any:
        return np.tanh(np.linalg.inv(np.exp(x)) @ x), cr.ops.argsort(x)

    x = np.random.default_rng(0).normal(size=(4, 4))
    fast = compile(f)
    same(fast(x), (np.tanh(np.linalg.inv(np.exp(x)) @ x), np.argsort(x)))
    assert "inv" in fast.report()
    assert "argsort" in fast.report()


def test_llvm_failing_falls_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import chainrule.graph.emit.llvm as emitter

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such register")

    monkeypatch.setattr(emitter, "build", broken)
    x = np.arange(3.0)
    same(compile(np.tanh)(x), np.tanh(x))
    assert "LLVM could not compile tanh, which runs as NumPy code: no such register" in caplog.text
    with pytest.raises(RuntimeError, match="no such register"):
        compile(np.tanh, backend="llvm")(x)


def test_without_llvmlite_it_runs_as_numpy_code(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    function.say_once.cache_clear()
    for name in [n for n in sys.modules if n.startswith(("llvmlite", "chainrule.graph.emit.llvm"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    x = np.arange(4.0)
    fast = compile(lambda x: np.exp(-x) @ x)
    same(fast(x), np.exp(-x) @ x)
    same(fast(x), np.exp(-x) @ x)
    assert caplog.text.count("chainrule[jit]") == 1
    with pytest.raises(InputError, match="there is none to show"):
        fast.report()
    with pytest.raises(InputError, match=r"needs llvmlite: pip install 'chainrule\[jit\]'"):
        compile(np.tanh, backend="llvm")(x)


def test_the_numpy_backend() -> None:
    rng = np.random.default_rng(0)
    p, x = parameters_of(rng), rng.normal(size=(7, 3))
    same(compile(network, backend="numpy")(p, x), network(p, x))


# checking at run time -----------------------------------------------------------------------------


def test_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.graph.emit.llvm import elements

    x = np.linspace(-1, 1, 7)
    monkeypatch.setitem(
        elements.PLAIN, "square", lambda code, t, a: a
    )  # a mistake in the code that is written
    wrong = compile(lambda x: np.square(x) + 1)
    assert not np.allclose(wrong(x), np.square(x) + 1)
    monkeypatch.setenv("CHAINRULE_VERIFY", "1")
    with pytest.raises(CompiledMismatch, match="gives another result"):
        compile(lambda x: np.square(x) + 1)(x)
    same(compile(lambda x: np.tanh(x) + 1)(x), np.tanh(x) + 1)


# the promise that there is no NaN --------------------


def test_assume_finite_is_right_for_finite_numbers() -> None:
    x = np.random.default_rng(0).normal(size=(20, 5))

    def f(x: Any) -> Any:
        return np.maximum(x, 0.1).sum(1), x.max(0), np.clip(x, -1, 1), x.min()

    fast = compile(f, assume_finite=True)
    same(fast(x), f(x))
    assert "llvm.maximum" not in fast.llvm()
    assert "llvm.maximum" in llvm_of(f, x)


def llvm_of(f: Any, *arguments: Any) -> str:
    fast = compile(f)
    fast(*arguments)
    return fast.llvm()


# long programs -----------------------------------------------------------------------------------


def test_what_is_unrolled_over_time_is_written_once(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    W, U, V = (rng.normal(size=shape, scale=0.4) for shape in ((3, 8), (8, 8), (8, 1)))
    x, y = rng.normal(size=(60, 5, 3)), rng.normal(size=(5, 1))

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        W, U, V = parameters
        h = np.zeros((5, 8))
        for t in range(len(x)):
            h = np.tanh(x[t] @ W + h @ U)
        return ((h @ V - y) ** 2).mean()

    both = cr.value_and_grad(loss)
    fast = compile(both)
    same(fast((W, U, V), x, y), both((W, U, V), x, y))
    assert fast.llvm().count("\ndefine ") < 40
    assert fast.llvm().count("call i32 @") > 200


def test_attributes_in_slots_are_watched() -> None:
    class Held:
        __slots__ = ("__private", "factor")

        def __init__(self, factor: float) -> None:
            self.factor = self.__private = factor

        def __call__(self, x: Any) -> Any:
            return x * self.factor + self.__private

    held, x = Held(0.5), np.arange(3.0)
    fast = compile(lambda x: held(x))
    for factor in (0.5, 0.25, 2.0):
        held.__init__(factor)  # type: ignore[misc]
        same(fast(x), x * factor + factor)
