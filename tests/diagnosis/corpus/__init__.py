"""Networks and layers as students and course authors write them, with backward passes derived by hand."""

from . import convolutions, dense, layers, regressions, sequences
from .network import Draw, Network, Planted

NETWORKS: tuple[Network, ...] = (
    *regressions.NETWORKS, *dense.NETWORKS, *layers.NETWORKS, *convolutions.NETWORKS, *sequences.NETWORKS,
)  # fmt: skip

__all__ = ["NETWORKS", "Draw", "Network", "Planted"]
