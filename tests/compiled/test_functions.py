"""The functions that are emitted as LLVM instructions: exact digits, special values, and that they vectorise."""

from __future__ import annotations

import ctypes
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from compiled.approximations import FITS, fitted

llvm = pytest.importorskip("llvmlite.binding")

from llvmlite import ir  # noqa: E402

from chainrule.graph.emit.llvm_functions import FUNCTIONS, scalars, tables  # noqa: E402

llvm.initialize_native_target()
llvm.initialize_native_asmprinter()

DTYPES = (np.float32, np.float64)
LIMIT = dict.fromkeys(FUNCTIONS, 2.0) | {"erf": 4.0, "pow": 4.0}
EXACT: dict[str, Callable[..., Any]] = {
    "exp": mp.exp, "expm1": mp.expm1, "log": mp.log, "log1p": mp.log1p, "sinh": mp.sinh, "cosh": mp.cosh,
    "tanh": mp.tanh, "sin": mp.sin, "cos": mp.cos, "erf": mp.erf, "pow": mp.power,
    "exp2": lambda x: mp.power(2, x), "log2": lambda x: mp.log(x, 2), "log10": mp.log10,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "softplus": lambda x: mp.log1p(mp.exp(x)),
}  # fmt: skip
IN_NUMPY: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.logaddexp(x, x.dtype.type(0)),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "pow": np.power,
}
"""What NumPy does not have under that name."""


class Loop:
    """A compiled loop over a function: called with arrays; `text` and `assembly` are what LLVM made of it."""

    def __init__(self, name: str, dtype: Any, features: str) -> None:
        real = ir.FloatType() if dtype == np.float32 else ir.DoubleType()
        self.dtype, self.count = dtype, 2 if name == "pow" else 1
        module = llvm.parse_assembly(str(loop_over(FUNCTIONS[name], real, self.count)))
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(opt=3, cpu=llvm.get_host_cpu_name(), features=features)
        options = llvm.create_pipeline_tuning_options(speed_level=3)
        options.loop_vectorization = options.slp_vectorization = True
        passes = llvm.create_pass_builder(machine, options)
        passes.getModulePassManager().run(module, passes)
        self.text, self.assembly = str(module), machine.emit_assembly(module)
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * (self.count + 1))
        self.function = kind(self.engine.get_function_address("run"))

    def __call__(self, *arrays: Any) -> Any:
        given = [np.ascontiguousarray(a, self.dtype) for a in arrays]
        out = np.empty_like(given[0])
        self.function(out.size, *(a.ctypes.data for a in given), out.ctypes.data)
        return out


def loop_over(function: Callable[..., Any], real: Any, count: int) -> Any:
    """run(n, *inputs, out): out[i] = function(inputs[i]) for all i."""
    module, index = ir.Module("loop"), ir.IntType(64)
    kind = ir.FunctionType(ir.VoidType(), [index] + [real.as_pointer()] * (count + 1))
    run = ir.Function(module, kind, "run")
    n, *arrays = run.args
    for array in arrays:
        array.add_attribute("noalias")
    entry, body, end = (run.append_basic_block() for _ in range(3))
    builder = ir.IRBuilder(entry)
    builder.branch(body)
    builder.position_at_end(body)
    i = builder.phi(index)
    i.add_incoming(ir.Constant(index, 0), entry)
    values = [builder.load(builder.gep(a, [i])) for a in arrays[:-1]]
    builder.store(function(builder, *values), builder.gep(arrays[-1], [i]))
    following = builder.add(i, ir.Constant(index, 1))
    i.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, n), body, end)
    builder.position_at_end(end)
    builder.ret_void()
    return module


@functools.cache
def compiled(name: str, dtype: Any) -> Loop:
    return Loop(name, dtype, llvm.get_host_cpu_features().flatten())


@pytest.fixture(params=[(n, d) for n in FUNCTIONS for d in DTYPES], ids=lambda p: f"{p[0]}-{p[1].__name__}")
def which(request: pytest.FixtureRequest) -> Any:
    return request.param


# inputs ------------------------------------------------------------------------------------------------------


def everywhere(rng: np.random.Generator, dtype: Any, n: int) -> Any:
    """Numbers of every size and sign, subnormal ones too."""
    low, high = (-149, 128) if dtype == np.float32 else (-1074, 1024)
    return np.ldexp(rng.uniform(1, 2, n), rng.integers(low, high, n)) * rng.choice([-1, 1], n)


def drawn(name: str, dtype: Any, n: int) -> tuple[Any, ...]:
    """Random arguments: of every size, where the function does most, and where its formulas meet."""
    rng = np.random.default_rng(0)
    edge = 104.0 if dtype == np.float32 else 745.0
    parts = [
        everywhere(rng, dtype, n),
        rng.normal(size=n),
        rng.uniform(-edge, edge, n),
        rng.uniform(-6, 6, n),
    ]
    parts += [0.35 * rng.integers(-8, 9, n) + rng.normal(size=n) * 1e-3, rng.uniform(0.7, 1.5, n)]
    parts += [rng.integers(-2000, 2000, n) * (math.pi / 2)]
    x = np.concatenate(parts).astype(dtype)
    if name.startswith("log"):
        x = x[x > -1] if name == "log1p" else np.abs(x[x != 0])
    if name == "pow":
        return np.abs(x[x != 0]), np.resize(np.concatenate(parts[1:4]), np.sum(x != 0)).astype(dtype)
    return (x,)


def units(found: Any, exact: Any, dtype: Any) -> float:
    """An error in units of the last place of the exact value; 0 where both are too large."""
    limits = np.finfo(dtype)
    if not np.isfinite(found):
        too_large = abs(exact) >= mp.mpf(float(limits.max)) * (1 + mp.mpf(float(limits.eps)) / 4)
        return 0.0 if too_large and (found > 0) == (exact > 0) else math.inf
    exponent = int(mp.floor(mp.log(abs(exact), 2))) if exact else limits.minexp
    unit = mp.ldexp(1, max(exponent, limits.minexp) - limits.nmant)
    return float(abs(mp.mpf(float(found)) - exact) / unit)


def exact(name: str, x: Any, y: Any = None) -> Any:
    """The value to 60 digits; of exponentials, no more than that they are too large or too small."""
    x = mp.mpf(float(x))
    if name in ("exp", "exp2", "expm1", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf"):
        x = max(min(x, mp.mpf(10) ** 308 if name == "softplus" and x > 0 else mp.mpf(2000)), mp.mpf(-2000))
        if name == "softplus" and x > 1000:
            return x
    return EXACT[name](x) if y is None else EXACT[name](x, mp.mpf(float(y)))


def worst(name: str, dtype: Any, found: Any, arguments: tuple[Any, ...]) -> tuple[float, Any]:
    """The largest error, and where it is."""
    errors = [
        units(f, exact(name, *a), dtype)
        for f, *a in zip(found, *(x.tolist() for x in arguments), strict=True)
    ]
    k = int(np.argmax(errors))
    return errors[k], [x[k] for x in arguments]


# tests -------------------------------------------------------------------------------------------------------


def test_the_error_is_within_2_units_and_of_erf_and_pow_within_4(which: Any) -> None:
    name, dtype = which
    arguments = drawn(name, dtype, 80)
    error, place = worst(name, dtype, compiled(name, dtype)(*arguments), arguments)
    assert error <= LIMIT[name], f"{name} is {error:.2f} units off at {place}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_floats_of_every_size_are_right(name: str) -> None:
    patterns = np.arange(0, 2**32, 2**13 + 1, dtype=np.uint64).astype(np.uint32)
    x = patterns.view(np.float32)
    close = np.random.default_rng(1).uniform(-8, 8, 100_000).astype(np.float32)
    x = np.concatenate([x, close])
    arguments = (x, np.random.default_rng(2).permutation(x)) if name == "pow" else (x,)
    with np.errstate(all="ignore"):
        reference = IN_NUMPY.get(name) or getattr(np, name)
        expected = reference(*(a.astype(float) for a in arguments))
        found = compiled(name, np.float32)(*arguments).astype(float)
        unit = np.maximum(2.0 ** (np.floor(np.log2(np.abs(expected))) - 23), 2.0**-149)
        representable = np.abs(expected) <= np.finfo(np.float32).max
        error = np.where(representable, np.abs(found - expected) / unit, 0.0)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.all(np.isinf(found[np.abs(expected) >= 2.0**128]))
    k = np.nanargmax(error)
    assert error[k] <= LIMIT[name], f"{error[k]:.2f} units at {[a[k] for a in arguments]}"


def special_values(dtype: Any) -> Any:
    limits = np.finfo(dtype)
    sizes = [
        0, 1, np.inf, np.nan, limits.tiny, limits.tiny * (1 - limits.eps), limits.smallest_subnormal, limits.max,
        0.5, 2, 2.5, 3, 1 + limits.eps, 1 - limits.epsneg, limits.eps, limits.eps / 8, 1e10, 2.0**24 + 1,
        2.0**52 + 1, 2.0**53, 2.0**53 + 2, 88.72, 88.73, 89.415, 103.97, 104, 126.5, 149, 150, 150.5, 708.5,
        709.782, 709.783, 710.47, 745.2, 746, 1022.5, 1023.9, 1024, 1074, 1075, 1075.5,
    ]  # fmt: skip
    return np.array([s * v for v in sizes for s in (1, -1)], dtype)


def test_special_values_are_those_of_numpy(which: Any) -> None:
    name, dtype = which
    x = special_values(dtype)
    arguments = tuple(a.ravel() for a in np.meshgrid(x, x)) if name == "pow" else (x,)
    with np.errstate(all="ignore"):
        expected = (IN_NUMPY.get(name) or getattr(np, name))(*arguments).astype(dtype)
    found = compiled(name, dtype)(*arguments)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    number = ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[number]), np.signbit(expected[number]))
    infinite, finite = np.isinf(expected), np.isfinite(expected)
    assert np.array_equal(found[infinite], expected[infinite])
    unit = np.spacing(np.minimum(np.abs(expected[finite]), np.finfo(dtype).max / 2))
    assert np.all(np.abs(found[finite] - expected[finite]) <= 4 * unit)


def test_a_loop_over_it_is_vectorised_and_calls_nothing(which: Any) -> None:
    loop = compiled(*which)
    assert re.search(r"f(mul|add|sub) <\d+ x (float|double)>", loop.text)
    called = set(re.findall(r"call [^@]*@([\w.]+)", loop.text))
    assert all(name.startswith("llvm.") for name in called), called
    assert not re.search(r"^\s+(call\w*|bl|blr|jmp\w*\s+\*)\s", loop.assembly, re.MULTILINE)


@pytest.mark.skipif("x86" not in llvm.get_process_triple(), reason="other machines always have fma")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_without_fma_the_error_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scalars, "has_fma", lambda: False)
    loop = Loop(name, np.float64, "-fma,-avx512f,-avx2,-avx")
    assert "fma" not in loop.text
    assert not re.search(r"^\s+call", loop.assembly, re.MULTILINE)
    arguments = drawn(name, np.float64, 30)
    error, place = worst(name, np.float64, loop(*arguments), arguments)
    assert error <= LIMIT[name], f"{name} is {error:.2f} units off at {place}"


@pytest.mark.parametrize("name", FITS)
def test_the_coefficients_are_of_least_largest_error(name: str) -> None:
    fit, table = FITS[name], getattr(tables, name)
    for form, count in (("double", fit.double), ("float", fit.single)):
        if count:
            coefficients, error = fitted(fit, count)
            assert table[form] == tuple(map(float, coefficients))
            assert error < (1e-17 if form == "double" else 5e-9)


def test_the_table_of_two_over_pi_leaves_enough_bits() -> None:
    with mp.workdps(500):
        for single, enough in ((True, 2.0**-96), (False, 2.0**-212)):
            columns = tables.two_over_pi(single)
            for i in range(0, len(columns[0]), 7):
                total = sum(mp.mpf(column[i]) for column in columns)
                assert abs(mp.fmod(mp.ldexp(2 / mp.pi, i), 4) - total) < enough


@pytest.mark.parametrize(
    ("dtype", "x", "distance"),
    [(np.float64, 6381956970095103.0 * 2.0**797, 2.0**-60), (np.float32, 16367173.0 * 2.0**72, 2.0**-29)],
)
def test_a_number_next_to_a_multiple_of_half_pi_keeps_all_digits(
    dtype: Any, x: float, distance: float
) -> None:
    with mp.workdps(400):
        assert abs(mp.cos(x)) < distance
        for name in ("sin", "cos"):
            (found,) = compiled(name, dtype)(np.array([x]))
            assert units(found, EXACT[name](mp.mpf(x)), dtype) <= 1
