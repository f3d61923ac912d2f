r"""The names of a program as symbols of mathematics: `W1` is `W_1`, `Yhat` is `\hat{Y}`, `d_W1` is a derivative."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from chainrule.graph.emit.flow import differentiated_value
from chainrule.graph.ir import Graph, Variable, cotangent_of

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = frozenset(_GREEK.split())
_ALSO_GREEK = {"eps": "varepsilon", "epsilon": "varepsilon", "lam": "lambda", "phi": "varphi"}
_ACCENTS = ("hat", "bar", "tilde", "dot")
_ESCAPED = {c: f"\\{c}" for c in "#$%&_{}"} | {
    "\\": r"\backslash ",
    "~": r"\sim ",
    "^": r"\wedge ",
    " ": r"\ ",
}


class Symbol(NamedTuple):
    r"""A letter, what stands below it, and, for a cotangent, the value that is differentiated by it.

    >>> str(Symbol("W", ("1",))), str(Symbol("W", ("1",)).at("i", "j")), str(Symbol("W", ("1",), "L"))
    ('W_1', 'W_{1,ij}', '\\frac{\\partial L}{\\partial W_1}')
    """

    letter: str
    marks: tuple[str, ...] = ()
    value: str = ""

    def at(self, *index: str) -> Symbol:
        """An element of it, or a row; an empty text in the index stands for an axis without one."""
        letters = [i for i in index if i]
        below = letters if ":" in letters else ["".join(letters)] if letters else []
        return self._replace(marks=(*self.marks, *below))

    def __str__(self) -> str:
        below = ",".join(self.marks)
        name = self.letter + (f"_{below}" if len(below) == 1 else f"_{{{below}}}" if below else "")
        return rf"\frac{{\partial {self.value}}}{{\partial {name}}}" if self.value else name


def symbol(name: str) -> Symbol:
    r"""What a name of a program is called in formulas.

    >>> [str(symbol(n)) for n in ("W1", "W_out", "Yhat", "beta1", "Wx", "lambda_", "loss")]
    ['W_1', 'W_{\\mathrm{out}}', '\\hat{Y}', '\\beta_1', 'W_x', '\\lambda', '\\mathrm{loss}']
    """
    head, *marks = [part for part in unicodedata.normalize("NFKC", name).split("_") if part] or [name]
    if head == "new" and marks:  # what a training step makes of it
        made = symbol("_".join(marks))
        return made._replace(letter=rf"{made.letter}^{{\mathrm{{new}}}}")
    stem, digits = re.fullmatch(r"(.*?)(\d*)", head, re.DOTALL).groups()  # type: ignore[union-attr]
    accent = next((a for a in _ACCENTS if stem.endswith(a) and stem != a), "")
    stem = stem.removesuffix(accent)
    if marks and not accent and marks[0] in _ACCENTS:
        accent = marks.pop(0)
    letter, below = _letter(stem)
    found = (*below, *([digits] if digits and stem else []), *(_mark(m) for m in marks))
    return Symbol(f"\\{accent}{{{letter}}}" if accent else letter, found)


def _letter(stem: str) -> tuple[str, tuple[str, ...]]:
    """The letter of a name without digits, and what stands below it by custom."""
    greek = _greek(stem)
    if greek or len(stem) == 1:
        return greek or _escaped(stem), ()
    short = re.fullmatch(r"([A-Z])([a-z])|([WUVb])([xhyiofgcz]{1,2})", stem)  # Wx, Whh, bh
    if short:
        letter, mark = (part for part in short.groups() if part)
        return letter, (mark,)
    return rf"\mathrm{{{_escaped(stem)}}}", ()


def _mark(text: str) -> str:
    return text if text.isdigit() else str(symbol(text))


def _greek(text: str) -> str:
    """A Greek letter by its English name, or by itself; "" for all else."""
    if len(text) == 1 and "GREEK" in unicodedata.name(text, ""):
        case, text = text, unicodedata.name(text).rpartition(" ")[2].replace("LAMDA", "LAMBDA").lower()
        text = text.capitalize() if case.isupper() else text
    known = _ALSO_GREEK.get(text, text)
    return f"\\{known}" if text in GREEK or text in _ALSO_GREEK else ""


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in text)


def symbols(graph: Graph, names: Mapping[Variable, str]) -> dict[Variable, Symbol]:
    """The symbol of each named Variable of a graph: no two have the same.

    The value of the function is `L` where its name is a word, `f` where it has none; a cotangent is the derivative
    of that value. In a training step that does not return its loss, cotangents have a bar.
    """
    given = {v: symbol(name) for v, name in names.items() if v.of is None}
    out = differentiated_value(graph)
    value = _value_symbol(out, given, names)
    if out in given and value is not None:
        given[out] = value
    found = _each_once(given, names)
    cotangents = {v: _cotangent(v, name, found, value) for v, name in names.items() if v.of is not None}
    return found | _each_once(cotangents, names)


def _value_symbol(
    out: Variable | None, given: Mapping[Variable, Symbol], names: Mapping[Variable, str]
) -> Symbol | None:
    if out is None:
        return None
    others = {str(s) for v, s in given.items() if v is not out}
    own = given.get(out, symbol("L"))
    if "mathrm" not in own.letter and str(own) not in others:
        return own
    letter = "f" if names.get(out) == "value" else "L"
    wanted = (letter, rf"\mathcal{{{letter}}}", r"\ell", r"\mathrm{value}")
    return next((Symbol(w) for w in wanted if w not in others), own)


def _cotangent(
    variable: Variable, name: str, found: Mapping[Variable, Symbol], value: Symbol | None
) -> Symbol:
    r"""A derivative of the value; of the second sweep, one of its change \dot{L}, or the change \dot{Z} of a value."""
    prefix, of = cotangent_of(variable)
    by = found.get(of) if of is not None else None
    by = by or symbol(name.removeprefix(prefix))
    if prefix == "v_":
        return by._replace(letter=rf"\dot{{{by.letter}}}")
    if value is None:  # of what, the graph does not say
        return by._replace(letter=rf"\bar{{{by.letter}}}")
    return by._replace(value=str(value) if prefix == "d_" else rf"\dot{{{value}}}")


def _each_once(found: Mapping[Variable, Symbol], names: Mapping[Variable, str]) -> dict[Variable, Symbol]:
    """The symbols, where two names have the same (`W1` and `W_1`) the names themselves."""
    counts = Counter(map(str, found.values()))
    return {
        v: s if counts[str(s)] == 1 else Symbol(rf"\mathtt{{{_escaped(names[v])}}}") for v, s in found.items()
    }
