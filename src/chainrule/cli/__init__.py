"""The command line: parsing of arguments and printing; all work is done in the layers below."""

from chainrule.cli.program import main

__all__ = ["main"]
