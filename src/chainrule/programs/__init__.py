"""Running people's programs and notebooks, with PyTorch and TensorFlow answered by the façades.

`read_program` reads a file into cells, `run_program` runs them and collects what each one shows, and
`compared` holds that against the output stored in the notebook.
"""

from chainrule.programs.cells import Cell, Program, read_program
from chainrule.programs.comparison import Comparison, compared
from chainrule.programs.execution import Outcome, run_program
from chainrule.programs.facades import FACADES
from chainrule.programs.failures import Failure
from chainrule.programs.repetition import run_and_compare

__all__ = [
    "FACADES", "Cell", "Comparison", "Failure", "Outcome", "Program", "compared", "read_program",
    "run_and_compare", "run_program",
]  # fmt: skip
