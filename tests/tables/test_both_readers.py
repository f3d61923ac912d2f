"""A file read by polars and by the plain reader: tables drawn at random have the same cells, to the last bit."""

import random
from codecs import BOM_UTF8
from pathlib import Path

import numpy as np
import pytest

from chainrule import data
from chainrule.data import Form, Table, csv_parts, reading
from chainrule.errors import DataError

pytest.importorskip("polars")

ODD = [
    "NA", "na", "nA", "n/a", "NaN", "nan", "NULL", "Null", "None", "?", "+1", "-1", "1E5", "1.", ".5",
    "-.5", "007", "-0", "0x10", "1_000", "1'000", "1e308", "5e-324", "inf", "-inf", "+nan", "-nan",
    "1e400", "9007199254740993", "12345678901234567890123", "9223372036854775808",
    "0.30000000000000004", "8.41e21", "1e23", "1d5", "1%", "$1", "--1", "1.2.3", "2024-01-02", "true",
    "１２", "٣", "", " ", "1 ", "\t2", "1 000",
]  # fmt: skip
"""Cells that readers of numbers are known to differ about."""


def _odd_column(draw: random.Random, rows: int, comma: bool) -> list[str]:
    """Numbers in several spellings, and in most columns a few cells that are odd."""
    odd, share = draw.sample(ODD, 3), draw.choice([0, 0.02, 0.2])
    ways = [
        lambda: repr(draw.gauss(0, 1) * 10 ** draw.randint(-300, 90)),
        lambda: f"{draw.gauss(0, 1e6):.2f}",
        lambda: str(draw.getrandbits(60)),
    ]
    cells = [draw.choice(odd) if draw.random() < share else draw.choice(ways)() for _ in range(rows)]
    return [cell.replace(".", ",") for cell in cells] if comma else cells


def _read(path: Path, forms: dict[str, Form] | None, rows: int) -> tuple[list[str], list[bytes]] | str:
    """Kinds and values of the columns to the last bit, or what is wrong with the file."""
    try:
        table = Table.joined(list(data.table_file(path).tables(rows, forms)))
    except DataError as error:
        return str(error)
    # The bits of a NaN are free.
    plain = [np.where(c.missing, "", c.values) if c.kind == "category" else c.values for c in table.columns]
    bits = [np.nan_to_num(v, nan=1e99) if v.dtype == float else v.astype(str) for v in plain]
    return [column.kind for column in table.columns], [each.tobytes() for each in bits]


@pytest.mark.parametrize("seed", range(40))
def test_tables_drawn_at_random_are_the_same_in_both_readers(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    rows, delimiter = draw.randint(1, 200), draw.choice(",;\t|")
    columns = [_odd_column(draw, rows, comma=delimiter == ";") for _ in range(3)]
    lines = [delimiter.join(row) for row in zip(*columns, strict=True)]
    path, end = tmp_path / "odd.csv", draw.choice(["\n", "\r\n"])
    text = end.join([delimiter.join("xyz"), *lines]) + draw.choice(["", end])
    path.write_bytes(draw.choice([b"", BOM_UTF8]) + text.encode())
    monkeypatch.setattr(csv_parts, "READ", draw.choice([300, 1 << 23]))
    for forms in (
        None,
        dict.fromkeys("xyz", Form("numeric", lenient=True)),
        dict.fromkeys("xyz", Form("category")),
    ):
        part = 1000 if forms is None else 7
        found = []
        for large in (0, 1 << 40):
            monkeypatch.setattr(reading, "LARGE", large)
            found.append(_read(path, forms, part))
        assert found[0] == found[1]
