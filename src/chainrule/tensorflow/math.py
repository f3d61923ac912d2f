"""`tf.math`: elementwise functions, reductions, and a few more."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.tensorflow.creation import cast as cast
from chainrule.tensorflow.elementwise import TABLE as _ELEMENTWISE
from chainrule.tensorflow.elementwise import add_n as add_n
from chainrule.tensorflow.elementwise import divide_no_nan as divide_no_nan
from chainrule.tensorflow.errors import missing
from chainrule.tensorflow.linalg import l2_normalize as l2_normalize
from chainrule.tensorflow.nn import log_softmax as log_softmax
from chainrule.tensorflow.nn import softmax as softmax
from chainrule.tensorflow.reductions import TABLE as _REDUCTIONS
from chainrule.tensorflow.reductions import argmax as argmax
from chainrule.tensorflow.reductions import argmin as argmin
from chainrule.tensorflow.reductions import count_nonzero as count_nonzero
from chainrule.tensorflow.reductions import cumsum as cumsum
from chainrule.tensorflow.tensors import Tensor, convert

globals().update(_ELEMENTWISE | _REDUCTIONS)


def confusion_matrix(labels: Any, predictions: Any, num_classes: int | None = None) -> Any:
    """How often each class (row) was taken for each (column)."""
    actual, guess = (np.asarray(convert(v)._data).ravel() for v in (labels, predictions))
    count = num_classes or int(max(actual.max(), guess.max())) + 1
    table = np.zeros((count, count), np.int32)
    np.add.at(table, (actual.astype(int), guess.astype(int)), 1)
    return Tensor._wrapped(table)


def __getattr__(name: str) -> Any:
    missing("tf.math", name, globals())
