"""Who is measured: one module each, imported only when it takes part, so a missing peer harms nobody.

A module has two functions, ``scalar(model)`` and ``network(model)``, which return a `Contestant`; in the modules of
`LOOPS` they also take how many training steps are made in one call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from benchmarks.models import Array, Model, Scalar


@dataclass(frozen=True)
class Contestant:
    """``step`` makes ``steps`` training steps and returns the last loss; ``parameters`` are copies."""

    step: Callable[[], object]
    parameters: Callable[[], Sequence[Array]]
    steps: int = 1


MODULES: Mapping[str, str] = {
    "numpy": "handwritten",
    "chainrule": "chainrule_fused",
    "chainrule-numpy": "chainrule_numpy",
    "pytorch": "pytorch",
    "facade": "facade",
    "facade-compiled": "facade_compiled",
    "mygrad": "my_grad",
    "autograd": "hips_autograd",
    "jax": "jax_jit",
    "compiled": "compiled",
    "compiled-loop": "compiled_loop",
    "compiled-numpy": "compiled_numpy",
    "jax-loop": "jax_loop",
}

LOOPS = ("compiled-loop", "jax-loop")
STEPS = 200
"""Of a loop in one call."""


def available(name: str) -> str | None:
    """None if the contestant can take part, otherwise why not."""
    try:
        import_module(f"{__name__}.{MODULES[name]}")
    except ImportError as error:
        return str(error)
    return None


def build(name: str, model: Model, steps: int = STEPS) -> Contestant:
    module = import_module(f"{__name__}.{MODULES[name]}")
    make = module.scalar if isinstance(model, Scalar) else module.network
    contestant = make(model, steps) if name in LOOPS else make(model)
    assert isinstance(contestant, Contestant)
    return contestant
