"""Printed text as words, numbers and punctuation; numbers compared as printed numbers."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

_TOKEN = re.compile(
    r"""(?P<address>0x[0-9a-fA-F]+)
      | (?P<word>[^\W\d]\w*)
      | (?P<number>(?:(?<![\w.)\]])[-+])?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)
      | (?P<mark>\S)""",
    re.VERBOSE,
)
_WORDS_FOR_NUMBERS = {"nan", "inf", "NaN", "Infinity"}
_LONGEST_FLOAT32 = 9
"""Digits that tell all float32 apart; a longer text of one spells it out in float64."""


class Token(NamedTuple):
    """A word, a number or a mark, and the line that it is in."""

    text: str
    is_number: bool
    line: int

    def same(self, other: Token) -> bool:
        """Whether two tokens say the same; numbers to their printed precision."""
        if self.text == other.text:
            return True
        return self.is_number and other.is_number and close(self.text, other.text)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text. Blanks and line ends only part them; an address in memory is like any other.

    >>> [token.text for token in tokens_of("W1 = [-0.5, 2e-3]  <A object at 0x7f>")]
    ['W1', '=', '[', '-0.5', ',', '2e-3', ']', '<', 'A', 'at', '0x', '>']
    """
    found = []
    for number, line in enumerate(text.replace(" object at 0x", " at 0x").split("\n")):
        for match in _TOKEN.finditer(line):
            kind, word = match.lastgroup, match.group()
            is_number = kind == "number" or word in _WORDS_FOR_NUMBERS
            found.append(Token("0x" if kind == "address" else word, is_number, number))
    return found


def close(a: str, b: str) -> bool:
    """Whether two printed numbers are the same as far as both show digits, up to a few roundings.

    Whole numbers must be equal. A float32 that is printed with the digits of a float64 has the precision of
    a float32.

    >>> close("0.25", "0.250"), close("0.25", "0.254"), close("0.25", "0.26"), close("2", "3")
    (True, True, False, False)
    >>> close("1.2194585800170898", "1.2194586992263794")
    True
    """
    x, y = float(a), float(b)
    if x == y or (x != x and y != y):
        return True
    if not np.isfinite([x, y]).all() or (_is_whole(a) and _is_whole(b)):
        return False
    coarse = a if _unit(a) > _unit(b) else b
    shown = 0.5 * _unit(coarse) if _unit(a) != _unit(b) and _digits(coarse) > 1 else 0.0
    return abs(x - y) <= max(1.000001 * shown, _rounding(a, b) * max(abs(x), abs(y)))


def neighbours(a: str, b: str) -> bool:
    """Whether two numbers with equally many decimals differ by one in the last of them.

    >>> neighbours("-0.97", "-0.98"), neighbours("0.97", "0.99"), neighbours("1", "2")
    (True, False, False)
    """
    same = _unit(a) == _unit(b) > 0 and np.isfinite([float(a), float(b)]).all()
    return bool(same) and abs(float(a) - float(b)) <= 1.000001 * _unit(a)


def _is_whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _digits(text: str) -> int:
    """The significant digits of a printed number."""
    return sum(c.isdigit() for c in text.lower().partition("e")[0].lstrip("+-0."))


def _unit(text: str) -> float:
    """What one more in the last decimal is worth; 0 where none is shown ("3." is printed for exactly 3)."""
    mantissa, _, exponent = text.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals) if decimals or exponent else 0.0


def _rounding(a: str, b: str) -> float:
    """The relative error that a few roundings make, in the type that the numbers were printed from."""
    kind: type = np.float32 if all(_spells_float32(text) for text in (a, b)) else np.float64
    return 8 * float(np.finfo(kind).eps)


def _spells_float32(text: str) -> bool:
    return _digits(text) <= _LONGEST_FLOAT32 or float(np.float32(text)) == float(text)
