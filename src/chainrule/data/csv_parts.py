"""Large CSV files by polars: whole lines in parts, numbers read as such where a column is known to be of numbers."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.data.cells import MISSING, Distinct, Numbers, cleaned, parse_number
from chainrule.data.dialect import Dialect
from chainrule.data.frames import library
from chainrule.errors import DataError

READ = 1 << 22
"""Bytes that polars parses at a time."""

AHEAD = 3
"""Blocks that are parsed while an earlier one is used."""

WORDS = sorted({word for text in MISSING for word in (text, text.upper(), text.title())} - {""})
"""How a missing value is usually written; polars is told these, and any other spelling is read as text first."""

OTHER_DIGITS = r"[\p{Nd}--0-9]"
"""Those of other scripts: Python reads them as numbers, and polars does not."""


class UnevenLinesError(Exception):
    """Lines that polars would read without a word: some are shorter than others, blank, or have quotes."""


def csv_parts(
    path: Path, dialect: Dialect, width: int, rows: int, numeric: Collection[int] = (), start: int = 0
) -> Iterator[Sequence[PartCells]]:
    """The columns of a file from the row `start` on, `rows` rows at a time, as far as its lines are even.

    The columns at `numeric` are parsed as numbers at once, where all of their cells are.

    Raises:
        UnevenLinesError: where the next lines are for the plain reader, which says which of them is wrong.
        DataError: the file cannot be read.
    """
    language = _Language(dialect, width, numeric)
    try:
        part = _Part(language)
        for block in _ahead(_parts_of_lines(path, language, rows, start), language):
            part.add(block)
            if part.rows == rows:
                yield part.cells
                part = _Part(language)
        if part.rows:
            yield part.cells
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


class PartCells:
    """A column of text in a part of a file."""

    def __init__(self, part: _Part, place: int) -> None:
        self._part, self._place = part, place

    def __len__(self) -> int:
        return self._part.rows

    def numbers(self) -> Numbers:
        """The cells as numbers."""
        polars, series = self._part.polars, self._part.parsed[self._place]
        decimal_comma = self._part.language.dialect.decimal_comma
        if series.dtype == polars.Float64:
            return Numbers(series.to_numpy(), np.zeros(len(series), bool))
        if not decimal_comma:
            plain = series.cast(polars.Float64, strict=False)
            if not plain.null_count() and not plain.is_nan().any():
                return Numbers(plain.to_numpy(), np.zeros(len(plain), bool))
        stripped = series.fill_null("").str.strip_chars()
        missing = stripped.str.to_lowercase().is_in(sorted(MISSING))
        wrong = stripped.str.contains(r"[_.]" if decimal_comma else "_")
        texts = stripped.str.replace(",", ".", literal=True) if decimal_comma else stripped
        found = texts.cast(polars.Float64, strict=False)
        unread = found.is_null() | wrong
        values = np.where((missing | unread).to_numpy(), np.nan, found.fill_null(0.0).to_numpy())
        other = (unread & ~missing).to_numpy(writable=True)
        for row in np.flatnonzero(other & stripped.str.contains(OTHER_DIGITS).to_numpy()):
            number = parse_number(series[int(row)], decimal_comma)
            if number is not None:
                values[row], other[row] = number, False
        return Numbers(values, other)

    def distinct(self) -> Distinct:
        """The different cells, without spaces around them, ``""`` where a value is missing; and each row's."""
        polars, series = self._part.polars, self._text().fill_null("")
        different = series.unique(maintain_order=True)
        codes = series.cast(polars.Enum(different)).to_physical().to_numpy()
        texts, places = cleaned(different.to_list())
        return texts, places[codes]

    def at(self, row: int) -> str:
        """One cell as it is."""
        return str(self._part.as_text[self._place][row])

    def _text(self) -> Any:
        parsed = self._part.parsed[self._place]
        return parsed if parsed.dtype == self._part.polars.String else self._part.as_text[self._place]


class _Language:
    """How the lines of a file are parsed.

    Attributes:
        ways: what polars is told, the fastest first; what failed once is not tried again. The last reads all as text.
    """

    def __init__(self, dialect: Dialect, width: int, numeric: Collection[int]) -> None:
        self.dialect, self.width = dialect, width
        self.polars = library("polars", "this")
        text = {f"column_{i + 1}": self.polars.String for i in range(width)}
        typed = text | {f"column_{i + 1}": self.polars.Float64 for i in numeric}
        self.ways: list[dict[str, Any]] = [{"schema": text}]
        # "1.234" is a thousand to some where the decimal sign is a comma: that is seen in the text only.
        if numeric and not dialect.decimal_comma:
            self.ways = [{"schema": typed}, {"schema": typed, "null_values": WORDS}, *self.ways]

    def frame(self, block: _Lines, way: dict[str, Any]) -> Any:
        """A block as a DataFrame.

        Raises:
            UnevenLinesError, or what polars raises.
        """
        frame = self.polars.read_csv(
            block.text,
            separator=self.dialect.delimiter,
            has_header=False,
            quote_char=None,
            empty_string_is_null=False,
            **way,
        )
        _require_even(block, frame.height, self)
        return frame


class _Part:
    """Some rows of a file, parsed block by block; as text where that is asked for."""

    def __init__(self, language: _Language) -> None:
        self.language, self.polars = language, language.polars
        self.rows = 0
        self._frames: list[Any] = []
        self._blocks: list[_Lines] = []

    @property
    def cells(self) -> list[PartCells]:
        """The columns."""
        return [PartCells(self, i) for i in range(self.language.width)]

    def add(self, block: _Lines) -> None:
        """Parse more lines."""
        ways = self.language.ways
        try:
            self._frames.append(block.frame(self.language))
        except self.polars.exceptions.PolarsError as error:
            if len(ways) == 1:
                raise UnevenLinesError from error
            # A cell that is no number, or a line that is too long: reading all as text tells them apart.
            del ways[0]
            again, self._blocks, self._frames, self.rows = self._blocks, [], [], 0
            for one in (*again, block):
                self.add(one)
            return
        if len(ways) > 1:
            self._blocks.append(block._replace(coming=None))
        self.rows += block.lines

    @cached_property
    def parsed(self) -> list[Any]:
        """The columns, of numbers or of text; in text, null may stand for a missing value."""
        return self._columns(self._frames)

    @cached_property
    def as_text(self) -> list[Any]:
        """Every column as text, as it is."""
        if not self._blocks:
            return self.parsed
        try:
            return self._columns([self.language.frame(one, self.language.ways[-1]) for one in self._blocks])
        except self.polars.exceptions.PolarsError as error:
            raise UnevenLinesError from error

    def _columns(self, frames: list[Any]) -> list[Any]:
        columns: list[Any] = self.polars.concat(frames).get_columns()
        return columns


def _require_even(block: _Lines, height: int, language: _Language) -> None:
    """Polars refuses lines with too many cells; with the right number of delimiters, none has too few."""
    text, letters = block.text, np.frombuffer(block.text, np.uint8)
    delimiters = np.count_nonzero(letters == ord(language.dialect.delimiter))
    even = delimiters == height * (language.width - 1) and block.lines == height
    lone = b"\r" in text and b"\r" in text.replace(b"\r\n", b"")
    if not even or lone or b'"' in text:
        raise UnevenLinesError


# lines ---------------------------------------------------------------------------------------------------------


class _Lines(NamedTuple):
    """A block of whole lines; perhaps one that a thread is parsing, in a way that polars was told."""

    text: bytes
    lines: int
    coming: Future[Any] | None = None
    way: dict[str, Any] | None = None

    def frame(self, language: _Language) -> Any:
        """As a DataFrame, in the way that is now the fastest.

        Raises:
            UnevenLinesError, or what polars raises.
        """
        if self.coming is not None and self.way is language.ways[0]:
            return self.coming.result()
        return language.frame(self, language.ways[0])

    def cut(self, lines: int) -> tuple[_Lines, _Lines]:
        """The first so many lines, and the rest."""
        if not lines:
            return _NOTHING, self
        if lines >= self.lines:
            return self, _NOTHING
        end = int(np.flatnonzero(np.frombuffer(self.text, np.uint8) == ord("\n"))[lines - 1]) + 1
        return _Lines(self.text[:end], lines), _Lines(self.text[end:], self.lines - lines)


_NOTHING = _Lines(b"", 0)


def _ahead(blocks: Iterator[_Lines], language: _Language) -> Iterator[_Lines]:
    """The same blocks; while one is used, threads parse the next ones."""
    waiting: deque[_Lines] = deque()
    with ThreadPoolExecutor(AHEAD) as threads:
        for block in blocks:
            way = language.ways[0]
            waiting.append(block._replace(coming=threads.submit(language.frame, block, way), way=way))
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting


def _parts_of_lines(path: Path, language: _Language, rows: int, start: int) -> Iterator[_Lines]:
    """The lines from the row `start` on, in blocks of which none goes beyond a multiple of `rows`.

    So parts have exactly so many rows, and a seed means the same on every machine.
    """
    skipped, missing = start, rows
    for block in _whole_lines(path, language):
        before, rest = block.cut(skipped)
        skipped -= before.lines
        while rest.lines:
            found, rest = rest.cut(missing)
            missing = missing - found.lines or rows
            yield found


def _whole_lines(path: Path, language: _Language) -> Iterator[_Lines]:
    """The file below the header in blocks that end with a line: polars would map all of it into memory."""
    with path.open("rb") as file:
        start = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
        file.seek(start)
        if language.dialect.header:
            _require_even(_Lines(file.readline(), 1), 1, language)
            start = file.tell()
        while True:
            # First where the last line ends: text that is cut or joined is copied.
            file.seek(start + READ)
            end = start + READ + len(file.readline())
            file.seek(start)
            if not (text := file.read(end - start)):
                return
            start += len(text)
            yield _Lines(text, _newlines(text) + (text[-1:] != b"\n"))


def _newlines(text: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("\n")))
