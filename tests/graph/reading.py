"""LaTeX formulas computed: the part of mathematics that the golden listings are written in."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

TOKEN = re.compile(r"\\[a-zA-Z]+\*?|\\,|\d+(?:\.\d+)?|[^\s\\]")
FUNCTIONS = {
    r"\sigma": lambda z: 1 / (1 + np.exp(-z)), r"\tanh": np.tanh, r"\exp": np.exp, r"\log": np.log, r"\sin": np.sin,
}  # fmt: skip
SPACES = (r"\,", r"\left", r"\right")


class Reader:
    """A formula on the way to its value. Vectors are columns; a vector beside a matrix of its length is a row."""

    def __init__(self, formula: str, values: dict[str, np.ndarray], index: dict[str, int]) -> None:
        self.tokens = [t for t in TOKEN.findall(formula) if t not in SPACES]
        self.at, self.values, self.index = 0, values, index

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        assert token and (not wanted or token == wanted), (wanted, token, self.tokens[self.at :])
        self.at += 1
        return token

    def sum(self) -> Any:
        total = -self.hadamard() if self.peek() == "-" and self.take() else self.hadamard()
        while self.peek() in ("+", "-"):
            sign, value = (1 if self.take() == "+" else -1), None
            value = self.hadamard()
            left, right = beside(total, value)
            total = left + sign * right
        return total

    def hadamard(self) -> Any:
        total = self.product()
        while self.peek() == r"\odot":
            self.take()
            left, right = beside(total, self.product())
            total = left * right
        return total

    def product(self) -> Any:
        total = self.power()
        while self.peek() and self.peek() not in ("+", "-", ")", "}", r"\odot"):
            if self.peek() == r"\cdot":
                self.take()
            factor = self.power()
            total = total * factor if 1 in (np.size(total), np.size(factor)) else total @ factor
        return total

    def power(self) -> Any:
        base = self.atom()
        while self.peek() in ("^", "["):
            if self.take() == "[":
                base = column(base[int(self.take())])
                self.take("]")
                continue
            above = self.group()
            base = base.T if above == r"\top" else base ** float(above.removeprefix(r"\odot"))
        return base

    def atom(self) -> Any:
        token = self.take()
        if token == "(":
            value = self.sum()
            self.take(")")
            return value
        if token[0].isdigit():
            return float(token)
        if token == r"\sum":
            return self.summed()
        if token in FUNCTIONS:
            return FUNCTIONS[token](self.power())
        if token == r"\frac":
            return self.fraction()
        accent = self.group() if token in (r"\hat", r"\mathrm", r"\bar") else ""
        return self.named("", token + (f"{{{accent}}}" if accent else ""))

    def fraction(self) -> Any:
        top, start = self.group(), self.at
        if not top.startswith(r"\partial"):
            bottom = self.group()
            return self.inner(top) / self.inner(bottom)
        self.at = start
        self.take("{")
        self.take(r"\partial")
        letter = self.take()
        accent = self.group() if letter in (r"\hat", r"\mathrm") else ""
        value = self.named(top, letter + (f"{{{accent}}}" if accent else ""))
        self.take("}")
        return value

    def inner(self, formula: str) -> Any:
        return Reader(formula, self.values, self.index).sum()

    def named(self, derivative: str, letter: str) -> Any:
        """A value by its symbol; of what stands below, the letters that are counted are an index."""
        below = self.group() if self.peek() == "_" and self.take() else ""
        parts = re.findall(r"\\mathrm\{\w+\}|\d+|\w|:", below)
        count = len(parts)
        while count and (parts[count - 1] == ":" or parts[count - 1] in self.index):
            count -= 1
        value = self.values[plain(f"{derivative}|{letter}|{','.join(parts[:count])}")]
        places = tuple(slice(None) if p == ":" else self.index[p] for p in parts[count:])
        return column(value[places])

    def summed(self) -> Any:
        self.take("_")
        letters = list(re.findall(r"[a-z]", self.group()))
        if self.peek() == "^":
            self.take()
            self.group()
        start, total = self.at, 0.0
        for numbers in product(*[range(self.length(letter, start)) for letter in letters]):
            body = Reader("", self.values, self.index | dict(zip(letters, numbers, strict=True)))
            body.tokens, body.at = self.tokens, start
            total = total + body.hadamard()
            self.at = body.at
        return total

    def length(self, letter: str, start: int) -> int:
        """How far a letter counts: until an index is out of range."""
        for count in range(10_000):
            body = Reader("", self.values, self.index | dict.fromkeys("ijk", 0) | {letter: count})
            body.tokens, body.at = self.tokens, start
            try:
                body.hadamard()
            except IndexError:
                return count
        raise AssertionError(letter)

    def group(self) -> str:
        """What stands between braces, or the next sign."""
        if self.peek() != "{":
            return self.take()
        depth, found = 0, []
        while True:
            token = self.take()
            depth += (token == "{") - (token == "}")
            found.append(token)
            if not depth:
                return " ".join(found[1:-1]).replace("{ ", "{").replace(" }", "}").replace(" {", "{")


def column(value: Any) -> Any:
    return value[:, None] if np.ndim(value) == 1 else value


def beside(left: Any, right: Any) -> tuple[Any, Any]:
    """Two operands; a vector beside a matrix is a row."""
    if np.shape(left) == np.shape(right) or 1 in (np.size(left), np.size(right)):
        return left, right
    if np.shape(left)[1] == 1 and np.shape(right)[1] == np.shape(left)[0]:
        return left.T, right
    if np.shape(right)[1] == 1 and np.shape(left)[1] == np.shape(right)[0]:
        return left, right.T
    return left, right


def plain(text: str) -> str:
    return re.sub(r"[\s{}]", "", text)


def key(symbol: Any) -> str:
    """How a symbol is found again."""
    value = rf"\partial{symbol.value}" if symbol.value else ""
    return plain(f"{value}|{symbol.letter}|{','.join(symbol.marks)}")


def computed(formula: str, values: dict[str, np.ndarray]) -> Any:
    """The value of a formula."""
    reader = Reader(formula, values, {})
    value = reader.sum()
    assert reader.at == len(reader.tokens), reader.tokens[reader.at :]
    return value


def lines(listing: str) -> Iterator[tuple[str, str]]:
    """The left sides of a listing, and the last of their right sides."""
    body = listing.split("\n", 1)[1].rsplit("\n", 1)[0]
    left = ""
    for row in re.split(r" \\\\(?:\[1\.5ex\])?\n", body):
        before, _, after = row.split(" && ")[0].partition("&=")
        left = before.strip() or left
        yield left, after.split(" = ")[-1].strip()
