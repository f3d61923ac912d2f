"""`tf.keras.utils`."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from chainrule.tensorflow.errors import missing
from chainrule.tensorflow.random import set_seed


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers as rows with a 1 at the class.

    >>> to_categorical([1, 0])
    array([[0., 1.],
           [1., 0.]])
    """
    numbers = np.asarray(x).astype(int)
    numbers = numbers[..., 0] if numbers.ndim > 1 and numbers.shape[-1] == 1 else numbers
    return np.eye(num_classes or int(numbers.max()) + 1)[numbers]


def set_random_seed(seed: int) -> None:
    """Start the random numbers of Python, of NumPy and of TensorFlow from a seed."""
    random.seed(seed)
    np.random.seed(seed)
    set_seed(seed)


def __getattr__(name: str) -> Any:
    missing("tf.keras.utils", name, globals())
