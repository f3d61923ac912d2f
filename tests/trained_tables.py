"""Small trained models, and tables of all kinds of columns, for the tests of what is made from them."""

from __future__ import annotations

import numpy as np

import chainrule as cr
from chainrule import nn, ops
from chainrule.data import Column, Table
from chainrule.train import Settings, TableModel, TableTraining


def trained(table: Table, target: str, **settings: object) -> TableModel:
    training = TableTraining.prepare(table, target, Settings(epochs=3, **settings))  # type: ignore[arg-type]
    training.fit()
    return training.model({})


def cells_of(table: Table, names: list[str]) -> list[list[str]]:
    columns = [table.column(name).as_category().values.tolist() for name in names]
    return [list(row) for row in zip(*columns, strict=True)]


def mixed_table(rows: int = 300) -> Table:
    """A table with a column of each kind: many categories, dates with a time of day, yes and no, odd names."""
    rng = np.random.default_rng(3)
    day = rng.integers(1_500_000_000, 1_700_000_000, rows).astype("datetime64[s]")
    size = rng.normal(size=rows)
    size[::7] = np.nan
    town = np.array([f'town "{i}" é' for i in rng.integers(0, 40, rows)])
    town[::11] = ""
    member = rng.integers(0, 2, rows).astype(float)
    member[::13] = np.nan
    colour = rng.choice(["red", "green", "blue", "rare"], rows, p=[0.4, 0.3, 0.295, 0.005])
    return Table(
        "mixed",
        (
            Column("size (cm)", "numeric", size),
            Column("town's {name}", "category", town),
            Column("since", "date", day, ("day.month.year",)),
            Column("member\\?", "boolean", member, ("no", "yes")),
            Column("colour", "category", colour),
            Column("price", "numeric", 1e5 + 3e4 * rng.normal(size=rows)),
        ),
    )  # fmt: skip


class Attention(nn.Module):
    """A module of the user's own, with a mask."""

    def __init__(self) -> None:
        self.query, self.key = nn.Linear(6, 4, generator=0), nn.Linear(6, 4, generator=1)
        self.drop, self.mask = nn.Dropout(0.5, generator=2), np.tri(5)

    def forward(self, x: cr.Tensor) -> cr.Tensor:
        scores = self.query(x) @ self.key(x).mT / 2
        shares: cr.Tensor = ops.softmax(ops.where(self.mask > 0, scores, -np.inf), axis=-1)
        return self.drop(shares) @ x
