"""Functions at full speed: `compile`."""

from chainrule.compiled.function import Compiled, compile  # noqa: A004

__all__ = ["Compiled", "compile"]
