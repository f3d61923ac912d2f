"""Functions at full speed: `compile`, and whole loops of training steps: `NativeLoop`."""

from chainrule.compiled.function import Compiled, compile  # noqa: A004
from chainrule.compiled.loop import NativeLoop
from chainrule.compiled.verification import CompiledMismatch

__all__ = ["Compiled", "CompiledMismatch", "NativeLoop", "compile"]
