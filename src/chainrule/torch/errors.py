"""Errors of the façade: of chainrule's family and of the built-in types that PyTorch raises.

::

    ChainruleError
    ├── OperationError (RuntimeError)    shapes, types or states that an operation cannot work with
    ├── ArgumentError (TypeError)        an argument of a type that the function does not take
    ├── DimensionError (IndexError)      a dimension or an index out of range
    ├── ValueOptionError (ValueError)    an option with a value that does not exist
    ├── MissingOptionError (KeyError)    an option that must have been there
    ├── SavedFileError (RuntimeError)    a .pt file that is damaged, foreign or not to be written
    ├── UnsafeFileError (UnpicklingError)   a .pt file that asks for more than tensors, numbers and containers
    ├── MissingError (NotImplementedError)  what PyTorch can do with these arguments and chainrule cannot
    └── MissingNameError (AttributeError)   a name that PyTorch has and chainrule.torch has not
"""

from __future__ import annotations

import pickle

from chainrule.errors import ChainruleError


class OperationError(ChainruleError, RuntimeError):
    """Shapes, types or states that an operation cannot work with."""


class ArgumentError(ChainruleError, TypeError):
    """An argument of a type that the function does not take."""


class DimensionError(ChainruleError, IndexError):
    """A dimension or an index out of range."""


class ValueOptionError(ChainruleError, ValueError):
    """An option with a value that does not exist."""


class MissingOptionError(ChainruleError, KeyError):
    """An option that must have been there."""

    __str__ = Exception.__str__  # a KeyError would show the quoted text


class SavedFileError(ChainruleError, RuntimeError):
    """A .pt file that is damaged or foreign, or an object that cannot be written to one."""


class UnsafeFileError(ChainruleError, pickle.UnpicklingError):
    """A .pt file that asks for more than tensors, numbers and containers; it is not loaded."""


class MissingError(ChainruleError, NotImplementedError):
    """Something that PyTorch can do with these arguments, and chainrule.torch cannot."""


class MissingNameError(ChainruleError, AttributeError):
    """A name that chainrule.torch does not have."""
