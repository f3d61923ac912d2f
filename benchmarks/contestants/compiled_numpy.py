"""chainrule compiled without llvmlite: the step as NumPy code that writes into arrays it keeps."""

from benchmarks.contestants import Contestant, compiled
from benchmarks.models import Network, Scalar


def scalar(model: Scalar) -> Contestant:
    return compiled.scalar(model, "numpy")


def network(model: Network) -> Contestant:
    return compiled.network(model, "numpy")
