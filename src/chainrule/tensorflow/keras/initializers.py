"""`tf.keras.initializers`: the first values of weights, also by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.tensorflow import random
from chainrule.tensorflow.creation import constant, eye, ones, zeros
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.tensors import Tensor


class Initializer:
    """Called with a shape, it gives a tensor."""

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        raise NotImplementedError


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return zeros(shape, dtype)


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return ones(shape, dtype)


class Constant(Initializer):
    """One value, or a given array."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return constant(np.broadcast_to(np.asarray(self.value), tuple(shape)), dtype)


class Identity(Initializer):
    """The identity matrix."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        rows, columns = shape
        return self.gain * eye(rows, columns, dtype)  # type: ignore[no-any-return]


class RandomNormal(Initializer):
    """Normally distributed numbers."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return random.normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Normally distributed numbers, none farther than two deviations from the mean."""

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(Initializer):
    """Uniformly distributed numbers."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        return random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


class Orthogonal(Initializer):
    """A matrix with orthogonal columns or rows."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = gain, seed

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        rows, columns = math.prod(shape[:-1]), shape[-1]
        numbers = random.generator(self.seed).standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(numbers)
        q = q * np.sign(np.diag(r))
        return constant((self.gain * (q if rows >= columns else q.T)).reshape(shape), dtype)


class VarianceScaling(Initializer):
    """Random numbers whose variance is `scale` over the number of inputs, outputs, or their mean."""

    scale, mode, distribution = 1.0, "fan_in", "truncated_normal"

    def __init__(
        self, scale: float | None = None, mode: str | None = None, distribution: str | None = None,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        self.scale, self.mode = scale or self.scale, mode or self.mode
        self.distribution, self.seed = distribution or self.distribution, seed

    def __call__(self, shape: Any, dtype: Any = "float32") -> Tensor:
        """A tensor of this shape."""
        field = math.prod(shape[:-2])
        fan_in, fan_out = (shape[-2] * field if len(shape) > 1 else shape[0]), shape[-1] * field
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return random.uniform(shape, -limit, limit, dtype, self.seed)
        # Cutting the tails off makes the numbers narrower by this factor.
        return random.truncated_normal(
            shape, 0.0, math.sqrt(variance) / 0.87962566103423978, dtype, self.seed
        )


class _Seeded(VarianceScaling):
    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)


class GlorotUniform(_Seeded):
    """Uniform, variance 1 over the mean of inputs and outputs: the default of kernels."""

    mode, distribution = "fan_avg", "uniform"


class GlorotNormal(_Seeded):
    """Normal, variance 1 over the mean of inputs and outputs."""

    mode = "fan_avg"


class HeUniform(_Seeded):
    """Uniform, variance 2 over the number of inputs."""

    scale, distribution = 2.0, "uniform"


class HeNormal(_Seeded):
    """Normal, variance 2 over the number of inputs."""

    scale = 2.0


class LecunUniform(_Seeded):
    """Uniform, variance 1 over the number of inputs."""

    distribution = "uniform"


class LecunNormal(_Seeded):
    """Normal, variance 1 over the number of inputs."""


BY_NAME: dict[str, type[Initializer]] = {
    "zeros": Zeros, "ones": Ones, "constant": Constant, "identity": Identity, "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal, "random_uniform": RandomUniform, "orthogonal": Orthogonal,
    "variance_scaling": VarianceScaling, "glorot_uniform": GlorotUniform, "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform, "he_normal": HeNormal, "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal, "normal": RandomNormal, "uniform": RandomUniform,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer of a name; a function or an initializer itself."""
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    if identifier not in BY_NAME:
        raise InvalidArgumentError(f"there is no initializer {identifier!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[identifier]()


def __getattr__(name: str) -> Any:
    missing("tf.keras.initializers", name, globals())
