"""Holding what a cell shows against what is stored with it.

Blanks don't count, and numbers count to their printed precision. What depends on random numbers that the
program does not seed is found by running it again with other seeds, and not compared. Some differences say
nothing about the program, and are *explained*: each kind of them is one entry of `EXPLANATIONS`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from chainrule.programs.cells import Cell
from chainrule.programs.display import Output
from chainrule.programs.tokens import Token, neighbours, tokens_of

STORED_AT_MOST = 1000
"""Characters after which exported outputs are commonly cut; blanks at the end of the cut text may be gone."""

_BLANKS = 20
_SHARE_OF_ROUNDED = 0.05
"""Of the numbers of a cell, how many may differ by one in the last digit that is printed."""


@dataclass(frozen=True)
class Difference:
    """A place where the output is another one: the lines there, stored and ours."""

    stored: str
    ours: str


@dataclass(frozen=True)
class Comparison:
    """How a cell's output compares with the stored one."""

    cell: Cell
    compared: int = 0
    rounded: int = 0
    random: int = 0
    explanations: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether there is no difference that nothing explains."""
        return not self.differences


@dataclass
class _Texts:
    """The stored text and ours, as explanations change them to what can be compared."""

    cell: Cell
    stored: str
    ours: str
    table: str


def compared(cell: Cell, output: Output, others: Sequence[Output] = ()) -> Comparison:
    """Compare a cell's output with the stored one; `others` are its outputs in runs with other seeds.

    >>> compared(Cell(1, "", "", "loss 0.250"), Output.of("loss 0.2504")).same
    True
    >>> compared(Cell(1, "", "", "loss 0.250"), Output.of("loss 0.27")).differences
    (Difference(stored='loss 0.250', ours='loss 0.27'),)
    """
    text = output.text
    if cell.stored is None or not (cell.stored.strip() or text.strip()):
        return Comparison(cell)
    texts = _Texts(cell, cell.stored, text, output.text_with_tables)
    explained = [what for explain in EXPLANATIONS if (what := explain(texts)) is not None]
    ours, stored = tokens_of(texts.ours), tokens_of(texts.stored)
    random = _random_positions(ours, [tokens_of(_as_before(other, texts)) for other in others])
    ours, stored, random = _without_unbalanced_brackets(ours, stored, random, explained)
    stored = _without_what_is_missing(texts, ours, stored, random, explained)
    return _compared_tokens(texts, ours, stored, random, tuple(explained))


# what differs without saying anything about the program -------------------------------------------------


def _logs(texts: _Texts) -> str | None:
    """Lines that TensorFlow itself logs."""
    kept = [line for line in texts.stored.split("\n") if not _LOG.match(line)]
    if len(kept) == texts.stored.count("\n") + 1:
        return None
    texts.stored = "\n".join(kept)
    return "TensorFlow's own log lines are stored"


_LOG = re.compile(r"Metal device set to:|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] tensorflow/")


def _tables(texts: _Texts) -> str | None:
    """A data frame that is stored as comma-separated text."""
    if not texts.stored.startswith("Unnamed: 0,"):
        return None
    texts.stored, texts.ours = texts.stored.removeprefix("Unnamed: 0"), texts.table
    return "the data frame is stored as comma-separated text"


def _numpy_scalars(texts: _Texts) -> str | None:
    """NumPy 2 shows np.float64(0.5) for what was shown as 0.5."""
    plain = _SCALAR.sub(r"\1", texts.ours)
    if plain == texts.ours or "np." in texts.stored:
        return None
    texts.ours = plain
    return "NumPy 2 shows the type of a scalar, as in np.float64(0.5)"


_SCALAR = re.compile(r"\bnp\.(?:float|int|uint|complex)\d+\(([^()]*)\)|\bnp\.(?=True_|False_)")


def _booleans(texts: _Texts) -> str | None:
    """True and False, which pandas' get_dummies gives since version 2.0; before, it gave 1 and 0."""
    if not _TRUTH.search(texts.ours) or _TRUTH.search(texts.stored):
        return None
    texts.ours = _TRUTH.sub(lambda word: "1" if word.group() == "True" else "0", texts.ours)
    return "True and False are shown where 1 and 0 are stored (pandas' get_dummies, since its version 2.0)"


_TRUTH = re.compile(r"(?<![\w=])(?:True|False)\b")


def _facades(texts: _Texts) -> str | None:
    """The classes of the façades have longer names."""
    if "chainrule." not in texts.ours:
        return None
    texts.ours = re.sub(r"\bchainrule\.(torch|tensorflow)\b(?:\.tensors\b)?", r"\1", texts.ours)
    return None


EXPLANATIONS: tuple[Callable[[_Texts], str | None], ...] = (
    _logs,
    _tables,
    _numpy_scalars,
    _booleans,
    _facades,
)


def _as_before(other: Output, texts: _Texts) -> str:
    """The output of another run, changed as ours was."""
    again = _Texts(texts.cell, texts.cell.stored or "", other.text, other.text_with_tables)
    for explain in EXPLANATIONS:
        explain(again)
    return again.ours


def _without_unbalanced_brackets(
    ours: list[Token], stored: list[Token], random: set[int], explained: list[str]
) -> tuple[list[Token], list[Token], set[int]]:
    """No program printed brackets that do not balance: somebody has edited the stored text."""
    count = {mark: sum(t.text == mark for t in stored) for mark in "[]"}
    bare = [t for t in stored if t.text not in "[]"]
    kept = [i for i, t in enumerate(ours) if t.text not in "[]"]
    if count["["] == count["]"] or len(bare) != len(kept):
        return ours, stored, random
    explained.append(
        f"the stored text was edited: it has {count['[']} opening, but {count[']']} closing brackets"
    )
    return [ours[i] for i in kept], bare, {n for n, i in enumerate(kept) if i in random}


def _without_what_is_missing(
    texts: _Texts, ours: list[Token], stored: list[Token], random: set[int], explained: list[str]
) -> list[Token]:
    """Stored text that was cut, or to which another version of the cell has printed something more."""
    if len(stored) == len(ours) or not stored:
        return stored
    length = len(texts.cell.stored or "")
    if len(stored) < len(ours) and STORED_AT_MOST - _BLANKS < length <= STORED_AT_MOST + 1:
        explained.append(f"the stored text was cut after {STORED_AT_MOST} characters")
        return [*stored[:-1], *_completed(stored[-1], ours[len(stored) - 1])]
    extra = stored[len(ours) :]
    if extra and ours and extra[0].line > stored[len(ours) - 1].line and _prints_once_each(texts.cell.source):
        lines = extra[-1].line - extra[0].line + 1
        explained.append(
            f"stored, but printed by no statement of the cell as it is now: {lines} more "
            f"line{'s' if lines > 1 else ''}"
        )
        return stored[: len(ours)]
    return stored


def _completed(cut: Token, whole: Token) -> list[Token]:
    """The last token of a text that was cut, if it is the beginning of ours."""
    return [whole] if whole.text.startswith(cut.text) else [cut]


def _prints_once_each(source: str) -> bool:
    """Whether it is plain to see what a cell prints: calls of print, one after the other, and no loop."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False
    return all(isinstance(node, (ast.Assign, ast.Import, ast.ImportFrom)) or _is_print(node) for node in body)


def _is_print(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "print"
    )


# tokens -------------------------------------------------------------------------------------------------


def _random_positions(ours: list[Token], others: list[list[Token]]) -> set[int]:
    """Which of our tokens come out differently with other seeds."""
    found: set[int] = set()
    for other in others:
        if [t.is_number or t.text for t in ours] == [t.is_number or t.text for t in other]:
            found |= {i for i, (a, b) in enumerate(zip(ours, other, strict=True)) if a.text != b.text}
            continue
        matcher = SequenceMatcher(None, [t.text for t in ours], [t.text for t in other], autojunk=False)
        common = {i for block in matcher.get_matching_blocks() for i in range(block.a, block.a + block.size)}
        found |= set(range(len(ours))) - common
    return found


def _compared_tokens(
    texts: _Texts, ours: list[Token], stored: list[Token], random: set[int], explained: tuple[str, ...]
) -> Comparison:
    cell, differences = texts.cell, list[Difference]()
    cut = any("was cut" in what for what in explained)
    if not cut and len(stored) != len(ours):
        if not random:
            return Comparison(cell, explanations=explained, differences=_by_lines(texts))
        return _with_random_words(texts, ours, stored, random, explained)
    pairs = list(zip(stored, ours, strict=False))
    wrong = [i for i, (a, b) in enumerate(pairs) if i not in random and not a.same(b)]
    if _is_rounding([pairs[i] for i in wrong], sum(a.is_number for a, _ in pairs)):
        wrong = []
    for line in dict.fromkeys((pairs[i][0].line, pairs[i][1].line) for i in wrong):
        differences.append(Difference(_line(texts.stored, line[0]), _line(texts.ours, line[1])))
    rounded = sum(_differs(a, b) for i, (a, b) in enumerate(pairs) if i not in random and i not in wrong)
    compared = sum(i not in random for i in range(len(pairs)))
    return Comparison(cell, compared, rounded, len(pairs) - compared, explained, tuple(differences))


def _is_rounding(wrong: list[tuple[Token, Token]], numbers: int) -> bool:
    """Whether all that differs is the last digit of a few numbers among many."""
    near = all(a.is_number and b.is_number and neighbours(a.text, b.text) for a, b in wrong)
    return near and len(wrong) <= numbers * _SHARE_OF_ROUNDED


def _differs(a: Token, b: Token) -> bool:
    return a.is_number and b.is_number and float(a.text) != float(b.text)


def _line(text: str, number: int) -> str:
    return text.split("\n")[number].strip()


def _by_lines(texts: _Texts) -> tuple[Difference, ...]:
    """The lines that differ, where there are more or fewer of them."""
    stored, ours = _lines(texts.stored), _lines(texts.ours)
    matcher = SequenceMatcher(None, stored, ours, autojunk=False)
    return tuple(
        Difference("\n".join(stored[a:b]), "\n".join(ours[c:d]))
        for what, a, b, c, d in matcher.get_opcodes()
        if what != "equal"
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _with_random_words(
    texts: _Texts, ours: list[Token], stored: list[Token], random: set[int], explained: tuple[str, ...]
) -> Comparison:
    """Random output of another length: all that is not random must be in the stored text, in its order."""
    steady = [t for i, t in enumerate(ours) if i not in random]
    rest = iter(stored)
    missing = [t for t in steady if not any(t.same(other) for other in rest)]
    differences = tuple(Difference(texts.stored.strip(), texts.ours.strip()) for _ in missing[:1])
    return Comparison(texts.cell, len(steady), 0, len(random), explained, differences)
