"""The network of a table: numbers as they are, numbers of categories as learned vectors, then the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import nn, ops
from chainrule.errors import OptionError
from chainrule.tensor import Tensor


class Vectors(nn.Module):
    """Replaces numbers of categories by learned vectors: shape (rows, dense + tables) to (rows, inputs).

    Args:
        dense: how many columns in front stay as they are.
        sizes: for each column after them, how many vectors there are, and of what length.
        generator: a NumPy generator or a seed for it; vectors are normal, with deviation 0.1.

    Raises:
        OptionError: sizes below 1.

    >>> layer = Vectors(2, [(3, 4)], generator=0)
    >>> layer(np.array([[0.5, 1.0, 2.0]])).shape
    (1, 6)
    """

    def __init__(
        self, dense: int, sizes: Sequence[tuple[int, int]], generator: np.random.Generator | int | None = None
    ) -> None:
        if dense < 0 or any(number < 1 or length < 1 for number, length in sizes):
            raise OptionError(f"Vectors({dense}, {list(sizes)}): sizes must be at least 1")
        draw = np.random.default_rng(generator)
        self.dense = dense
        self.tables = [Tensor(0.1 * draw.normal(size=size), requires_grad=True) for size in sizes]

    def forward(self, x: Any) -> Tensor:
        """The numbers of `x`, and the vectors that its last columns name."""
        codes = ops.astype(x[:, self.dense :], np.int64)
        vectors = [table[codes[:, i]] for i, table in enumerate(self.tables)]
        joined: Tensor = ops.concat([x[:, : self.dense], *vectors], axis=1)
        return joined

    def arguments(self) -> str:
        """Numbers, and sizes of the tables."""
        return f"{self.dense}, {[table.shape for table in self.tables]}"


def table_network(
    sizes: Sequence[int],
    activation: str,
    *,
    dense: int,
    vectors: Sequence[tuple[int, int]] = (),
    dropout: float = 0.0,
    generator: np.random.Generator | int | None = None,
) -> nn.Sequential:
    """A multilayer network of `sizes`, behind `Vectors` where there are any.

    >>> table_network((5, 2), "tanh", dense=3, vectors=[(20, 2)], generator=0)
    Sequential(
      0: Vectors(3, [(20, 2)])
      1: Linear(5, 2)
    )
    """
    generator = np.random.default_rng(generator)
    layers = nn.multilayer(sizes, activation, dropout=dropout, generator=generator)
    return nn.Sequential(Vectors(dense, vectors, generator), *layers) if vectors else layers
