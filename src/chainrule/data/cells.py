"""Cells of text: what is missing, what is a number, a date, a yes or no; one by one, or a column at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What a cell of a missing value contains, in lower case."""

WORDS = (
    ("no", "yes"),
    ("false", "true"),
    ("n", "y"),
    ("f", "t"),
    ("off", "on"),
    ("nein", "ja"),
    ("non", "oui"),
)
"""Pairs of words that a column of yes and no is written in."""


def is_missing(cell: str) -> bool:
    """Whether a cell stands for a missing value.

    >>> [is_missing(cell) for cell in ("", " NA ", "0")]
    [True, True, False]
    """
    return cell.strip().lower() in MISSING


def parse_number(cell: str, decimal_comma: bool = False) -> float | None:
    """The number in a cell; NaN where it is missing, None where it is something else.

    >>> parse_number("2.5"), parse_number("NA"), parse_number("two"), parse_number("2,5", decimal_comma=True)
    (2.5, nan, None, 2.5)
    """
    if is_missing(cell):
        return math.nan
    # Python also reads "1_000", which in a table is rather a name than a number. Where the decimal sign is a comma,
    # "1.234" is a thousand to some and one to others.
    if "_" in cell or (decimal_comma and "." in cell):
        return None
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None


class Numbers(NamedTuple):
    """A column read as numbers: the values, NaN where missing, and where there is something else."""

    values: NDArray[np.float64]
    other: NDArray[np.bool_]


Distinct = tuple[NDArray[Any], NDArray[Any]]
"""Texts, and for each row the number of its own among them; some of them may be of no row."""


def cleaned(cells: Sequence[str]) -> Distinct:
    """Cells without spaces around them, ``""`` where a value is missing, each once, and which of them each cell is.

    >>> cleaned(["b", " b ", "NA"])
    (array(['', 'b'], dtype='<U1'), array([1, 1, 0]))
    """
    texts = np.array(["" if is_missing(cell) else cell.strip() for cell in cells], dtype=str)
    return np.unique(texts, return_inverse=True)


class Cells(Protocol):
    """A column of text, however it is held."""

    def __len__(self) -> int: ...

    def numbers(self) -> Numbers:
        """The cells as numbers."""

    def distinct(self) -> Distinct:
        """The different cells, without spaces around them, ``""`` where a value is missing; and each row's."""

    def at(self, row: int) -> str:
        """One cell as it is."""


class ListedCells:
    """A column of text in memory.

    >>> cells = ListedCells([" a ", "?", "2", "a"])
    >>> cells.distinct()
    (array(['', '2', 'a'], dtype='<U1'), array([2, 0, 1, 2]))
    >>> cells.numbers().other
    array([ True, False, False,  True])
    """

    def __init__(self, cells: Sequence[str], decimal_comma: bool = False) -> None:
        self._cells, self._decimal_comma = cells, decimal_comma

    def __len__(self) -> int:
        return len(self._cells)

    def numbers(self) -> Numbers:
        """The cells as numbers."""
        found = [parse_number(cell, self._decimal_comma) for cell in self._cells]
        other = np.array([number is None for number in found], bool)
        return Numbers(np.array([math.nan if x is None else x for x in found], np.float64), other)

    def distinct(self) -> Distinct:
        """The different cells, without spaces around them, ``""`` where a value is missing; and each row's."""
        numbers: dict[str, int] = {}
        codes = [numbers.setdefault(cell, len(numbers)) for cell in self._cells]
        texts, places = cleaned(list(numbers))
        return texts, places[codes]

    def at(self, row: int) -> str:
        """One cell as it is."""
        return self._cells[row]


# yes and no ----------------------------------------------------------------------------------------------------


def words_of(texts: NDArray[Any]) -> tuple[str, str] | None:
    """The two words of a column of yes and no as they are written there; None for any other.

    >>> words_of(np.array(["Yes", "", "No"]))
    ('No', 'Yes')
    """
    known = sorted({str(text) for text in texts} - {""})
    by_lower = {word.lower(): word for word in known}
    for low, high in WORDS:
        if len(known) == 2 and by_lower.keys() == {low, high}:
            return by_lower[low], by_lower[high]
    return None


# dates -----------------------------------------------------------------------------------------------------------

TIME = r"(?:[T ](?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:\.\d+)?)?(?:Z|[+-]00:?00)?)?"
ORDERS = {
    "year-month-day": re.compile(r"(?P<y>\d{4})([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})" + TIME),
    "day.month.year": re.compile(r"(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})" + TIME),
    "day/month/year": re.compile(r"(?P<d>\d{1,2})([-/])(?P<m>\d{1,2})\2(?P<y>\d{4})" + TIME),
    "month/day/year": re.compile(r"(?P<m>\d{1,2})([-/])(?P<d>\d{1,2})\2(?P<y>\d{4})" + TIME),
}
"""The orders in which dates are written. Times without an offset, or in UTC: others would shift the day."""


def date_orders(texts: NDArray[Any]) -> list[str]:
    """The orders in which every text that is not missing is a date; two for days that could be months.

    >>> date_orders(np.array(["31/12/2024", "01/02/2024"])), date_orders(np.array(["01/02/2024"]))
    (['day/month/year'], ['day/month/year', 'month/day/year'])
    """
    known = [str(text) for text in np.unique(texts) if text != ""]
    orders = list(ORDERS) if known else []
    for text in known:
        orders = [order for order in orders if parse_date(text, order) is not None]
        if not orders:
            break
    return orders


def date_text(time: Any, order: str) -> str:
    """A time as it is written in an order.

    >>> date_text(np.datetime64("2024-02-29T12:30:00"), "day.month.year")
    '29.02.2024 12:30:00'
    """
    moment = time.astype("datetime64[s]").item()
    separator = {"year-month-day": "-", "day.month.year": "."}.get(order, "/")
    places = {"year": f"{moment.year:04}", "month": f"{moment.month:02}", "day": f"{moment.day:02}"}
    text = separator.join(places[part] for part in re.split(r"[-./]", order))
    return text + (f" {moment:%H:%M:%S}" if moment.time() != moment.min.time() else "")


def parse_date(text: str, order: str) -> datetime | None:
    """The time of a text in a known order; None where it is none.

    >>> parse_date("2024-02-29 12:30", "year-month-day"), parse_date("2023-02-29", "year-month-day")
    (datetime.datetime(2024, 2, 29, 12, 30), None)
    """
    found = ORDERS[order].fullmatch(text)
    if found is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(found[part] or 0) for part in "ymdHMS")
        return datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


def dates(texts: NDArray[Any], order: str) -> NDArray[np.datetime64]:
    """The texts as times, NaT where one is missing or is no date in that order."""
    return _mapped(texts, lambda text: np.datetime64(parse_date(text, order) or "NaT", "s"), "datetime64[s]")


def _mapped(texts: NDArray[Any], change: Callable[[str], Any], dtype: str) -> NDArray[Any]:
    """A function of every text, called once for each different one."""
    distinct, places = np.unique(texts, return_inverse=True)
    return np.array([change(str(text)) for text in distinct], dtype=dtype)[places]
