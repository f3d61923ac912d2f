"""How a text file of cells is written: encoding, delimiter, decimal sign, header; found out from the file."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.data.cells import is_missing, parse_number
from chainrule.errors import DataError

DELIMITERS = {"\t": "tab", ";": "';'", "|": "'|'", ",": "','"}
"""In the order in which they are preferred where several fit: a comma may also be a decimal sign."""

START = 1 << 18
"""How many bytes the delimiter and the header are found out from."""

BLOCK = 1 << 18
LINES = 200

WITH_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
WITH_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How the cells of a file are written.

    >>> str(Dialect("cp1252", ";", decimal_comma=True, header=False))
    "Windows-1252, separated by ';', decimal comma, no header"
    >>> str(Dialect())  # the usual one has nothing to tell
    ''
    >>> str(Dialect(header_told=True))
    'a header, as told'

    Attributes:
        header: whether the first line has the names of the columns; `header_told`, whether somebody has said so.
    """

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal_comma: bool = False
    header: bool = True
    header_told: bool = False

    def __str__(self) -> str:
        unusual = (
            {"cp1252": "Windows-1252", "utf-16": "UTF-16"}.get(self.encoding),
            f"separated by {DELIMITERS[self.delimiter]}" if self.delimiter != "," else None,
            "decimal comma" if self.decimal_comma else None,
            _told_header(self.header, self.header_told),
        )
        return ", ".join(part for part in unusual if part)


def _told_header(header: bool, told: bool) -> str | None:
    if told:
        return f"{'a' if header else 'no'} header, as told"
    return None if header else "no header"


def dialect_of(path: Path, header: bool | None = None) -> Dialect:
    r"""The dialect of a file; whether it has a header is found out too, unless `header` says it.

    Raises:
        DataError: the file is empty, or no text.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.csv"
    ...     _ = path.write_text("size;price\n1,5;2\n3;4,25\n")
    ...     dialect_of(path)
    Dialect(encoding='utf-8-sig', delimiter=';', decimal_comma=True, header=True, header_told=False)
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
        encoding = _encoding(path, start)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if not start.strip():
        raise DataError(
            f"{path} is empty: a line for each row, and a header with the columns' names, is needed"
        )
    text = codecs.getincrementaldecoder(encoding)().decode(start)
    lines = text.splitlines(keepends=True)
    # The last line may have been cut off.
    lines = lines[:-1] if len(start) == START and len(lines) > 1 else lines
    lines = [line for line in lines if line.strip()][:LINES]
    delimiter = _delimiter(lines)
    rows = _parsed(lines, delimiter)
    return Dialect(
        encoding,
        delimiter,
        delimiter != "," and _has_decimal_comma(rows),
        _has_header(rows, delimiter) if header is None else header,
        header is not None,
    )


def _encoding(path: Path, start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decodable(path, "utf-16")
    if b"\0" in start:
        at = start.index(b"\0")
        raise DataError(f"{path} is no text: byte {at} is zero; give a .csv, .tsv, .npz or .parquet file")
    try:
        return _decodable(path, "utf-8-sig")
    except DataError:
        return _decodable(path, "cp1252")


def _decodable(path: Path, encoding: str) -> str:
    """The encoding, if the whole file can be read in it."""
    decoder, done = codecs.getincrementaldecoder(encoding)(), 0
    block = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        try:
            while size := file.readinto(block):
                read = block if size == BLOCK else block[:size]
                if encoding == "utf-16" or not read.isascii():
                    decoder.decode(read)
                done += size
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} is no text in UTF-8, UTF-16 or Windows-1252 (byte {done + error.start}): save it as UTF-8"
            ) from error
    return encoding


def _parsed(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for cells in csv.reader(lines, delimiter=delimiter):
            rows.append(cells)
    except csv.Error:
        pass  # reading reports it, with the line; what came before is enough here
    return rows


def _delimiter(lines: Sequence[str]) -> str:
    """The delimiter by which most lines have the same number of cells, at least two."""

    def agreement(delimiter: str) -> float:
        counts = Counter(len(cells) for cells in _parsed(lines, delimiter) if cells)
        ((width, lines_of_it),) = counts.most_common(1) or [(0, 0)]
        return lines_of_it / counts.total() if width > 1 else 0.0

    best = max(DELIMITERS, key=agreement)
    return best if agreement(best) else ","


def _has_decimal_comma(rows: Sequence[Sequence[str]]) -> bool:
    cells = [cell.strip() for row in rows for cell in row]
    commas, points = (sum(1 for cell in cells if form.fullmatch(cell)) for form in (WITH_COMMA, WITH_POINT))
    return commas > points


def _has_header(rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Names are no numbers; a line of text alone is one, because nothing tells it from a row."""
    if not rows:
        return True
    first, below = rows[0], rows[1:]
    if not any(_is_number(cell, delimiter) for cell in first):
        return True
    # Years as names ("country,1990,1991") stand beside names of columns of numbers.
    return any(
        not is_missing(cell) and not _is_number(cell, delimiter) and _all_numbers(column, delimiter)
        for cell, column in zip(first, zip(*below, strict=False), strict=False)
    )


def _is_number(cell: str, delimiter: str) -> bool:
    return not is_missing(cell) and parse_number(cell, decimal_comma=delimiter != ",") is not None


def _all_numbers(cells: Sequence[str], delimiter: str) -> bool:
    known = [cell for cell in cells if not is_missing(cell)]
    return bool(known) and all(_is_number(cell, delimiter) for cell in known)
