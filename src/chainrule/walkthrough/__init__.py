"""`explain`: the step-by-step account of a function's value and gradient."""

from chainrule.walkthrough.explanation import explain
from chainrule.walkthrough.records import SourceLine, Wrong
from chainrule.walkthrough.steps import Step, Walkthrough

__all__ = ["SourceLine", "Step", "Walkthrough", "Wrong", "explain"]
