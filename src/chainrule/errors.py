"""Every exception that chainrule raises.

::

    ChainruleError
    ├── ContractError (TypeError)        a primitive or a rule is declared wrongly
    ├── RuleError (ValueError)           a rule returned something that is no cotangent of its input
    ├── InputError (TypeError)           an argument is no array, or of a type without gradients
    ├── ShapeError (ValueError)          shapes that do not fit together
    ├── BackwardError (RuntimeError)     a reverse sweep that cannot be done
    │   ├── FreedGraphError              the residuals of the graph were freed by an earlier sweep
    │   └── ModifiedError                a residual was changed in place since it was kept
    ├── InPlaceError (RuntimeError)      an in-place change that would make gradients wrong
    ├── GradientLostError (TypeError)    a Tensor that needs a gradient would become a plain array
    ├── UnsupportedError (TypeError)     a NumPy function that has no derivative here
    ├── AnomalyError (ArithmeticError)   the first NaN or Inf, under detect_anomaly
    ├── GradientMismatch (AssertionError)  a gradient differs from finite differences
    ├── OptionError (ValueError)         an option of the command line or of a layer out of range
    │   └── OutputError                  a file or folder that cannot be written
    ├── StateError (ValueError)          saved parameters that do not fit the module
    ├── OptimizerStateError (ValueError) a saved state that does not fit the optimizer
    ├── DivergedError (ArithmeticError)  a training whose loss is no longer a finite number
    ├── DataError (ValueError)           a table that cannot be used as it is
    ├── ModelFileError (ValueError)      a model file that is damaged, foreign or newer
    └── ProgramError (ValueError)        a program or notebook that cannot be read

    IndependentWarning (UserWarning)     a function that does not depend on the argument
"""

from __future__ import annotations


class ChainruleError(Exception):
    """The base of every exception that chainrule raises."""


class ContractError(ChainruleError, TypeError):
    """A primitive is declared wrongly, or called with arguments that it does not take."""


class RuleError(ChainruleError, ValueError):
    """A rule returned something that cannot be the cotangent of its input."""


class InputError(ChainruleError, TypeError):
    """An argument is no array, or an array of a type that has no gradients."""


class ShapeError(ChainruleError, ValueError):
    """Shapes that do not fit together."""


class BackwardError(ChainruleError, RuntimeError):
    """A reverse sweep that cannot be done."""


class FreedGraphError(BackwardError):
    """The residuals of the graph were freed by an earlier sweep."""


class ModifiedError(BackwardError):
    """A residual was changed in place between the forward pass and the reverse sweep."""


class InPlaceError(ChainruleError, RuntimeError):
    """An in-place change that would make gradients wrong."""


class GradientLostError(ChainruleError, TypeError):
    """A Tensor that needs a gradient would silently become a plain array, or be written into one: `array`."""

    array: object = None


class UnsupportedError(ChainruleError, TypeError):
    """A NumPy function, or one of its options, that has no derivative here."""


class AnomalyError(ChainruleError, ArithmeticError):
    """The first NaN or Inf of a forward pass or a reverse sweep, under ``detect_anomaly``."""


class GradientMismatch(ChainruleError, AssertionError):
    """A gradient differs from central finite differences."""


class OptionError(ChainruleError, ValueError):
    """An option of the command line or of a layer that is out of range."""


class DataError(ChainruleError, ValueError):
    """A table that cannot be used as it is."""


class ModelFileError(ChainruleError, ValueError):
    """A model file that is damaged, foreign, or written by a newer version."""


class ProgramError(ChainruleError, ValueError):
    """A program or notebook that cannot be read."""


class OptimizerStateError(ChainruleError, ValueError):
    """A saved state that does not fit the optimizer it is loaded into."""


class StateError(ChainruleError, ValueError):
    """A state (arrays by name) that does not fit the module or optimizer that it is loaded into."""


class DivergedError(ChainruleError, ArithmeticError):
    """The loss became infinite or NaN in training."""


class OutputError(OptionError):
    """A place where nothing can be written."""


class IndependentWarning(UserWarning):
    """A function that does not depend on the argument it is differentiated by."""
