"""`tf.random`: random numbers from a generator of ours.

The numbers are not TensorFlow's own for the same seed, which come from another kind of generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph.recording import check_not_tracing
from chainrule.tensorflow.creation import shape_of
from chainrule.tensorflow.dtypes import numpy_dtype
from chainrule.tensorflow.errors import InvalidArgumentError, missing
from chainrule.tensorflow.tensors import Tensor, convert

_global = [np.random.default_rng()]


def set_seed(seed: int) -> None:
    """Start the random numbers of all functions from a seed.

    >>> set_seed(1); a = uniform(()); set_seed(1); bool(a == uniform(()))
    True
    """
    _global[0] = np.random.default_rng(seed)


def generator(seed: int | None = None) -> np.random.Generator:
    """The generator that all functions use; with a seed, one of its own."""
    check_not_tracing("random numbers are drawn")
    return _global[0] if seed is None else np.random.default_rng(seed)


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: int | None = None,
    name: Any = None,
) -> Tensor:
    """Normally distributed numbers."""
    values = generator(seed).standard_normal(shape_of(shape))
    return Tensor._wrapped((np.asarray(mean) + np.asarray(stddev) * values).astype(numpy_dtype(dtype)))


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = "float32",
    seed: int | None = None,
    name: Any = None,
) -> Tensor:
    """Numbers between two limits, the upper one excluded; integers if `dtype` is an integer type."""
    kind = numpy_dtype(dtype)
    assert kind is not None
    if kind.kind in "iu":
        if maxval is None:
            raise InvalidArgumentError("Must specify maxval for integer dtype")
        return Tensor._wrapped(generator(seed).integers(minval, maxval, shape_of(shape)).astype(kind))
    high = 1.0 if maxval is None else maxval
    return Tensor._wrapped(generator(seed).uniform(minval, high, shape_of(shape)).astype(kind))


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = "float32",
    seed: int | None = None,
    name: Any = None,
) -> Tensor:
    """Normally distributed numbers of which none is farther than two deviations from the mean."""
    source, wanted = generator(seed), shape_of(shape)
    values = source.standard_normal(wanted)
    while (far := np.abs(values) > 2).any():
        values[far] = source.standard_normal(int(far.sum()))
    return Tensor._wrapped((mean + stddev * values).astype(numpy_dtype(dtype)))


def shuffle(value: Any, seed: int | None = None, name: Any = None) -> Tensor:
    """The rows in random order."""
    return Tensor._wrapped(generator(seed).permutation(convert(value)._data))


def categorical(logits: Any, num_samples: int, dtype: Any = "int64", seed: int | None = None) -> Tensor:
    """Class numbers, drawn with the probabilities that the rows of logits mean."""
    data = convert(logits)._data
    noise = generator(seed).gumbel(size=(data.shape[0], num_samples, data.shape[1]))
    return Tensor._wrapped((data[:, None] + noise).argmax(-1).astype(numpy_dtype(dtype)))


def __getattr__(name: str) -> Any:
    missing("tf.random", name, globals())
