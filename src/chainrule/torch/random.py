"""Random numbers, bit for bit those that PyTorch draws on the CPU from the same seed; `torch.random`'s names.

Samplers take and return NumPy arrays; `generator=None` means `default_generator`. Those whose name ends in an
underscore fill the array that they are given, in the order of its memory, and return it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.torch.draws import (
    Array,
    Shape,
    check_kind,
    empty,
    largest,
    memory_order,
    normal_,
    normals,
    put,
    random_,
    require,
    uniform_,
)
from chainrule.torch.errors import OperationError
from chainrule.torch.generator import Generator, default_generator
from chainrule.torch.rounding import each, fma_double

__all__ = [
    "Generator",
    "bernoulli",
    "bernoulli_",
    "cauchy_",
    "default_generator",
    "dropout_mask",
    "exponential_",
    "fork_rng",
    "geometric_",
    "get_rng_state",
    "initial_seed",
    "log_normal_",
    "manual_seed",
    "multinomial",
    "normal",
    "normal_",
    "poisson",
    "rand",
    "randint",
    "randn",
    "random_",
    "randperm",
    "seed",
    "set_rng_state",
    "trunc_normal_",
    "uniform_",
]


# torch.random --------------------------------------------------------------------------------------------


def manual_seed(seed: Any) -> Generator:
    """Start the default generator from a seed.

    >>> _ = manual_seed(0)
    >>> rand(2)
    array([0.4962566, 0.7682218], dtype=float32)
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start the default generator from a seed that cannot be foreseen, and return it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed from which the default generator was started."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator, as 5056 bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator continue from a state."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, device_type: str = "cpu") -> Iterator[None]:
    """A block after which the default generator continues from its state before the block.

    >>> _ = manual_seed(3)
    >>> with fork_rng():
    ...     inside = rand(1)
    >>> rand(1) == inside
    array([ True])
    """
    state = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)


# new arrays ------------------------------------------------------------------------------------------


def rand(shape: Shape, dtype: Any = np.float32, generator: Generator | None = None) -> Array:
    """Numbers from [0, 1)."""
    return uniform_(empty(shape, dtype), generator=generator)


def randn(shape: Shape, dtype: Any = np.float32, generator: Generator | None = None) -> Array:
    """Normal numbers of mean 0 and standard deviation 1.

    >>> _ = manual_seed(0)
    >>> randn(3)
    array([ 1.5409961, -0.2934289, -2.1787894], dtype=float32)
    """
    return normal_(empty(shape, dtype), generator=generator)


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    shape: Shape | None = None,
    dtype: Any = np.float32,
    generator: Generator | None = None,
) -> Array:
    """Normal numbers, with means and deviations from arrays; or, given a shape, with the same for all."""
    if shape is not None:
        return normal_(empty(shape, dtype), float(mean), float(std), generator)
    arrays = [a for a in (mean, std) if isinstance(a, np.ndarray)]
    if not arrays:
        raise OperationError("normal needs a size, unless the mean or the standard deviation is a tensor")
    if not isinstance(std, np.ndarray):
        out = normal_(np.empty(mean.shape, mean.dtype), 0.0, std, generator)
        out += mean
        return out
    require(not (std < 0).any(), "normal expects all elements of std >= 0.0")
    try:
        sizes = np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError as problem:
        raise OperationError(f"mean and std do not fit together: {problem}") from None
    out = normal_(np.empty(sizes, arrays[0].dtype), generator=generator)
    out *= std.astype(out.dtype, copy=False)
    out += np.asarray(mean, out.dtype)
    return out


def randint(
    low: int, high: int, shape: Shape, dtype: Any = np.int64, generator: Generator | None = None
) -> Array:
    """Integers from [low, high).

    >>> _ = manual_seed(0)
    >>> randint(0, 10, (4,))
    array([4, 9, 3, 0])
    """
    return random_(empty(shape, dtype), low, high, generator)


def randperm(n: int, dtype: Any = np.int64, generator: Generator | None = None) -> Array:
    """The integers below n in random order (Fisher and Yates, from the front).

    >>> _ = manual_seed(0)
    >>> randperm(5)
    array([4, 0, 1, 3, 2])
    """
    kind = np.dtype(dtype)
    require(n >= 0, f"n must be non-negative, got {n}")
    require(n <= largest(kind) + (kind.kind != "f"), f"{n} numbers cannot be told apart in {kind.name}")
    order = list(range(n))
    steps = np.arange(max(n - 1, 0), dtype=np.uint64)
    bits = (generator or default_generator).words(len(steps))
    for i, j in enumerate((bits % (np.uint64(n) - steps) + steps).tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, kind)


# trials --------------------------------------------------------------------------------------------------


def bernoulli_(x: Array, p: Any = 0.5, generator: Generator | None = None) -> Array:
    """Fill with 1, of probability p, and 0; p is a number, or an array of one for each element."""
    source = generator or default_generator
    if not isinstance(p, np.ndarray):
        require(0 <= p <= 1, f"bernoulli_ expects p to be in [0, 1], but got p={p}")
        return put(x, source.uniform(x.size) < p)
    check_kind(p, "f", "bernoulli with a tensor of probabilities")
    require(bool(((p >= 0) & (p <= 1)).all()), "bernoulli expects all probabilities to be in [0, 1]")
    try:
        limits = np.broadcast_to(p, x.shape).transpose(memory_order(x)).ravel()
    except ValueError:
        raise OperationError(f"probabilities of shape {p.shape} cannot be expanded to {x.shape}") from None
    return put(x, source.uniform(x.size, np.float64 if p.dtype == np.float64 else np.float32) < limits)


def bernoulli(p: Array, generator: Generator | None = None) -> Array:
    """1, of the probability that each element of p gives, and 0."""
    return bernoulli_(np.empty(p.shape, p.dtype), p, generator)


def dropout_mask(
    like: Array | Shape, p: float, dtype: Any = np.float32, generator: Generator | None = None
) -> Array:
    """What `dropout(x, p)` keeps, as 1, and drops, as 0.

    It is like an array, also in the order of its memory; or of a shape and an element type. PyTorch draws
    nothing for p = 0, p = 1 and an empty x.
    """
    mask = np.empty_like(like) if isinstance(like, np.ndarray) else empty(like, dtype)
    if p == 0 or p == 1:
        mask.fill(1 - p)
        return mask
    return bernoulli_(mask, 1 - p, generator)


def geometric_(x: Array, p: float, generator: Generator | None = None) -> Array:
    """Fill with the number of trials, of probability p each, until the first success."""
    require(0 < p < 1, f"geometric_ expects p to be in (0, 1), but got p={p}")
    uniform = (generator or default_generator).uniform(x.size)
    return put(x, np.ceil(each(math.log, uniform, np.log) / math.log1p(-p)))


# other distributions -------------------------------------------------------------------------------------


def exponential_(x: Array, lambd: float = 1.0, generator: Generator | None = None) -> Array:
    """Fill with exponentially distributed numbers of rate lambd."""
    require(x.dtype.kind == "f", f"the exponential distribution is continuous: {x.dtype.name} cannot hold it")
    require(lambd > 0.0, f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    uniform = (generator or default_generator).uniform(x.size)
    return put(x, -1.0 / lambd * each(math.log1p, -uniform, np.log1p))


def cauchy_(x: Array, median: float = 0.0, sigma: float = 1.0, generator: Generator | None = None) -> Array:
    """Fill with Cauchy-distributed numbers."""
    require(sigma > 0.0, f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    require(x.dtype.kind == "f", f"the Cauchy distribution is continuous: {x.dtype.name} cannot hold it")
    uniform = (generator or default_generator).uniform(x.size)
    return put(x, fma_double(each(math.tan, math.pi * (uniform - 0.5), np.tan), sigma, median))


def log_normal_(x: Array, mean: float = 1.0, std: float = 2.0, generator: Generator | None = None) -> Array:
    """Fill with numbers whose logarithms are normally distributed."""
    check_kind(x, "f", "log_normal_")
    require(std > 0.0, f"log_normal_ expects std > 0.0, but found std={std}")
    logarithms = fma_double(normals(x.size, generator or default_generator), std, mean)
    return put(x, each(math.exp, logarithms, np.exp))


def trunc_normal_(
    x: Array,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Array:
    """Fill with normal numbers, each drawn again until it is in [a, b]: `torch.nn.init.trunc_normal_`."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"mean {mean} is more than 2 std from [{a}, {b}]: the distribution may be incorrect",
            stacklevel=2,
        )
    below = [(1 + math.erf((bound - mean) / std / math.sqrt(2))) / 2 for bound in (a, b)]
    if below[1] - below[0] > 0.3:
        normal_(x, mean, std, generator)
        while (outside := (x < x.dtype.type(a)) | (x > x.dtype.type(b))).any():
            x[outside] = normal_(np.empty_like(x), mean, std, generator)[outside]
        return x
    pending = np.ones(x.shape, bool)
    log_peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    while pending.any():
        candidates = uniform_(np.empty_like(x), a, b, generator)
        x[pending] = candidates[pending]
        log_density = ((candidates - mean) / std) ** 2 * -0.5 - log_peak
        with np.errstate(divide="ignore"):
            pending &= np.log(uniform_(np.empty_like(x), generator=generator)) > log_density
    return x


def _poisson(rate: float, draw: Callable[[], float]) -> int:
    """One Poisson number: by products of uniform ones; from rate 10, by rejection (W. Hörmann, 1993)."""
    if rate < 10:
        product, count, limit = 1.0, 0, math.exp(-rate)
        while rate and (product := product * draw()) > limit:
            count += 1
        return count
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    quick = 0.9277 - 3.6224 / (b - 2)
    while True:
        u, v = draw() - 0.5, draw()
        edge = 0.5 - abs(u)
        k = math.floor((2 * a / edge + b) * u + rate + 0.43)
        if edge >= 0.07 and v <= quick:
            return k
        if k < 0 or (edge < 0.013 and v > edge):
            continue
        height = math.log(v) + math.log(1.1239 + 1.1328 / (b - 3.4)) - math.log(a / (edge * edge) + b)
        if height <= -rate + k * math.log(rate) - math.lgamma(k + 1):
            return k


def poisson(rates: Array, generator: Generator | None = None) -> Array:
    """A Poisson number for each rate."""
    check_kind(rates, "f", "poisson")
    require(bool((rates >= 0).all()), "invalid Poisson rate, expected rate to be non-negative")
    source = generator or default_generator

    def draw() -> float:
        return float(source.uniform(1)[0])

    numbers = [_poisson(rate, draw) for rate in rates.ravel().tolist()]
    return np.array(numbers, rates.dtype).reshape(rates.shape)


def _check_weights(weights: Array, count: int, replacement: bool) -> None:
    require(weights.ndim in (1, 2), "multinomial expects 1 or 2 dimensions of probabilities")
    require(
        weights.dtype.kind == "f",
        f"multinomial only supports floating-point dtypes, got {weights.dtype.name}",
    )
    require(count > 0, "cannot sample n_sample <= 0 samples")
    require(
        replacement or count <= weights.shape[-1],
        f"cannot sample {count} of {weights.shape[-1]} without replacement: n_sample > prob_dist.size(-1)",
    )
    require(
        bool((np.isfinite(weights) & (weights >= 0)).all()),
        "the probabilities contain `inf`, `nan` or an element < 0",
    )
    require(bool((weights.sum(-1) > 0).all()), "invalid multinomial distribution (sum of probabilities <= 0)")


def multinomial(
    weights: Array, num_samples: int, replacement: bool = False, generator: Generator | None = None
) -> NDArray[np.int64]:
    """Indices of the last axis, drawn with the probabilities that the weights are proportional to.

    >>> _ = manual_seed(0)
    >>> multinomial(np.float32([0, 10, 3, 0]), 2)
    array([1, 2])
    """
    _check_weights(weights, num_samples, replacement)
    source = generator or default_generator
    if num_samples == 1 or not replacement:
        # The largest of w / Exp(1) are a sample without replacement: the Gumbel trick.
        scores = weights / exponential_(np.empty_like(weights), 1.0, source)
        return np.argsort(-scores, axis=-1, kind="stable")[..., :num_samples]
    kind = np.float32 if weights.dtype == np.float16 else weights.dtype
    rows = []
    for row in weights.reshape(-1, weights.shape[-1]):
        bounds = np.cumsum(row, dtype=kind)
        bounds /= bounds[-1]
        bounds[-1] = 1
        rows.append(np.searchsorted(bounds.astype(np.float64), source.uniform(num_samples)))
    return np.array(rows, np.int64).reshape(*weights.shape[:-1], num_samples)
