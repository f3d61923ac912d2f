"""`check`: the mistake in a gradient that was derived by hand."""

from chainrule.diagnosis.assertions import assert_gradients, assert_layer, assert_step
from chainrule.diagnosis.checker import check
from chainrule.diagnosis.layers import check_layer
from chainrule.diagnosis.report import Finding, Report
from chainrule.diagnosis.steps import check_step

__all__ = [
    "Finding", "Report", "assert_gradients", "assert_layer", "assert_step", "check", "check_layer", "check_step",
]  # fmt: skip
