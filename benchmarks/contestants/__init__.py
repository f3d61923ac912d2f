"""Who is measured: one module each, imported only when it takes part, so a missing peer harms nobody.

A module has two functions, ``scalar(model)`` and ``network(model)``, which return a `Contestant`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from benchmarks.models import Array, Model, Scalar


@dataclass(frozen=True)
class Contestant:
    """``step`` makes one training step and returns its loss; ``parameters`` are copies of W1, b1, W2, b2."""

    step: Callable[[], object]
    parameters: Callable[[], Sequence[Array]]


MODULES: Mapping[str, str] = {
    "numpy": "handwritten",
    "chainrule": "chainrule_fused",
    "chainrule-numpy": "chainrule_numpy",
    "pytorch": "pytorch",
    "mygrad": "my_grad",
    "autograd": "hips_autograd",
    "jax": "jax_jit",
}


def available(name: str) -> str | None:
    """None if the contestant can take part, otherwise why not."""
    try:
        import_module(f"{__name__}.{MODULES[name]}")
    except ImportError as error:
        return str(error)
    return None


def build(name: str, model: Model) -> Contestant:
    module = import_module(f"{__name__}.{MODULES[name]}")
    contestant = module.scalar(model) if isinstance(model, Scalar) else module.network(model)
    assert isinstance(contestant, Contestant)
    return contestant
