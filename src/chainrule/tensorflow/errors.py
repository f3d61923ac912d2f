"""Errors of the façade, also `tf.errors`: of chainrule's family and of built-in types.

::

    ChainruleError
    ├── InvalidArgumentError (ValueError)  shapes or types that an operation cannot work with
    ├── ConversionError (TypeError)        a value that cannot become a tensor of that type
    ├── StateError (RuntimeError)          a tape, variable or model that is not in the state for it
    └── MissingNameError (AttributeError)  a name that TensorFlow has and chainrule.tensorflow has not
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, NoReturn

from chainrule.errors import ChainruleError


class InvalidArgumentError(ChainruleError, ValueError):
    """Shapes, types or options that an operation cannot work with."""


class ConversionError(ChainruleError, TypeError):
    """A value that cannot become a tensor, or not one of the type that is asked for."""


class StateError(ChainruleError, RuntimeError):
    """A tape, a variable or a model that is not in the state for what is asked of it."""


class MissingNameError(ChainruleError, AttributeError):
    """A name that chainrule.tensorflow does not have."""


def missing(module: str, name: str, present: dict[str, Any]) -> NoReturn:
    """Raise MissingNameError with the names that are nearest.

    >>> missing("tf", "reduce_meen", {"reduce_mean": 1})
    Traceback (most recent call last):
        ...
    chainrule.tensorflow.errors.MissingNameError: tf has no reduce_meen; the nearest is reduce_mean
    """
    public = [other for other in present if not other.startswith("_")]
    near = get_close_matches(name, public, n=3)
    which = f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""
    raise MissingNameError(f"{module} has no {name}{which}", name=name)
