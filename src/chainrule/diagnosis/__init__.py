"""`check`: the mistake in a gradient that was derived by hand."""

from chainrule.diagnosis.checker import check
from chainrule.diagnosis.report import Finding, Report

__all__ = ["Finding", "Report", "check"]
