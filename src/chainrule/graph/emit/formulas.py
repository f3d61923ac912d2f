"""Equations as formulas, of whole arrays or of one element: which input stands where, and with which index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from string import ascii_lowercase
from typing import Any, ClassVar, TypeAlias

import numpy as np

from chainrule.graph.emit.formula import (
    BIG,
    COMPARE,
    FRACTION,
    POWER,
    PRODUCT,
    SUM,
    WHOLE,
    Formula,
    bracketed,
    escaped,
    number,
    product,
)
from chainrule.graph.emit.notation import Symbol
from chainrule.graph.ir import Atom, Equation, Literal, Variable
from chainrule.primitives import Primitive
from chainrule.typing import Shape

Index: TypeAlias = "tuple[str, ...] | None"
"""A letter for each axis; `:` for one that is kept whole, nothing for one of length 1. None is the whole array."""
Writer: TypeAlias = "Callable[[Formulas, Equation, Index], Formula]"

_SUBSCRIPT = re.compile(r"_(\w|\{[^{}]*\})$")
_LEVELS = {"": COMPARE, "sum": SUM, "big": BIG, "product": PRODUCT, "whole": WHOLE}


class Formulas:
    """Equations as formulas. What has no symbol is written as what it is computed from.

    A primitive is written by its function in `writers`, or by its template in `templates`, in which `<x>` is an input,
    `<x:sum>` one that is bracketed as a part of a sum, and `<x:call>` one in brackets. Any other is written as a call.
    """

    writers: ClassVar[Mapping[str, Writer]] = {}
    templates: ClassVar[Mapping[str, tuple[str, int]]] = {}
    called_so: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        named: Mapping[Variable, Symbol],
        definitions: Mapping[Variable, Equation] | None = None,
        arrays: Mapping[Variable, Formula] | None = None,
    ) -> None:
        self.named, self.definitions, self.arrays = named, definitions or {}, arrays or {}
        taken = {s.letter for s in named.values()}
        self.letters = [c for c in "ijklmnpqrstuvwxyz" + ascii_lowercase if c not in taken]

    def of(self, atom: Atom, index: Index = None) -> Formula:
        """An input, or one element of it."""
        if isinstance(atom, Literal):
            return _literal(atom, index)
        found = self.named.get(atom)
        if atom in self.arrays:
            return self.indexed(self.arrays[atom], index)
        if found is None:
            return self.expression(self.definitions[atom], index)
        holds = FRACTION if found.value else POWER if "^" in found.letter else WHOLE
        return Formula(str(found.at(*(index or ()))), holds)

    def expression(self, made: Equation, index: Index = None) -> Formula:
        """The right side of an equation, or one element of it."""
        writer = self.writers.get(made.name)
        if writer is not None:
            return writer(self, made, index)
        template = self.templates.get(made.name)
        if template is None:
            return self.indexed(self.called(made), index)
        if made.primitive.elementwise:
            return self.filled(template, made, index)
        return self.indexed(self.filled(template, made, None), index)

    def part(self, made: Equation, number: int, index: Index) -> Formula:
        """An input of an elementwise equation, at the element of it that the output's has."""
        atom = made.inputs[number]
        return self.of(atom, aligned(index, atom.shape))

    def indexed(self, whole: Formula, index: Index) -> Formula:
        """An element of what has no name."""
        letters = [i for i in index or () if i]
        if not letters:
            return whole
        of = whole.within(WHOLE)
        below = ("," if ":" in letters else "").join(letters)
        return Formula(f"{bracketed(of) if _SUBSCRIPT.search(of) else of}_{{{below}}}")

    def filled(self, template: tuple[str, int], made: Equation, index: Index) -> Formula:
        """A template with the inputs in their places."""
        text, holds = template
        numbers = {name: i for i, name in enumerate(made.primitive.inputs)}

        def place(found: re.Match[str]) -> str:
            name, level = found.groups()
            formula = self.part(made, numbers[name], index)
            return bracketed(formula.text) if level == "call" else formula.within(_LEVELS[level])

        return Formula(re.sub(r"<(\w+):?(\w*)>", place, text), holds)

    def called(self, made: Equation) -> Formula:
        """The name of the primitive, applied to its inputs and to the parameters that are not the usual ones."""
        inputs = ", ".join(self.of(a).text for a in made.inputs)
        how = "".join(
            rf",\ \mathrm{{{escaped(name)}}}={self.parameter(value)}"
            for name, value in made.parameters.items()
            if not usual(made.primitive, name, value)
        )
        name = escaped(self.called_so.get(made.name, made.name))
        return Formula(rf"\operatorname{{{name}}}{bracketed(inputs + how)}")

    def parameter(self, value: Any) -> str:
        """A parameter of a call: an axis, a shape, an index."""
        if isinstance(value, Variable):
            return self.of(value).text
        if isinstance(value, slice):
            ends = ("" if v is None else str(int(v)) for v in (value.start, value.stop, value.step))
            return ":".join(ends) if value.step is not None else ":".join([*ends][:2])
        if isinstance(value, (tuple, list)):
            return "(" + ", ".join(self.parameter(v) for v in value) + ")"
        if isinstance(value, (bool, str, type(None))):
            return rf"\mathrm{{{escaped(str(value))}}}"
        if isinstance(value, (int, float, np.number)):
            return number(value.item() if isinstance(value, np.number) else value).text
        return r"\ldots" if value is ... else rf"\mathrm{{{escaped(str(value))}}}"

    def fresh(self, count: int, index: Index) -> list[str]:
        """Letters for indices that stand for nothing yet."""
        return [c for c in self.letters if c not in (index or ())][:count]


def aligned(index: Index, shape: Shape) -> Index:
    """The index of an input that is broadcast to where `index` points."""
    if index is None:
        return None
    last = index[len(index) - len(shape) :] if len(shape) <= len(index) else index
    return tuple("" if n == 1 else i for i, n in zip(last, shape, strict=False))


def usual(primitive: Primitive, name: str, value: Any) -> bool:
    """Whether a parameter has its default."""
    default = primitive.defaults.get(name, NotImplemented)
    return value is default or (type(value) is type(default) and value == default)


def is_array(atom: Atom, index: Index) -> bool:
    """Whether a formula stands for an array, and not for one number."""
    return any(n != 1 for n in atom.shape) and (index is None or ":" in index)


def _literal(value: Literal, index: Index) -> Formula:
    found = number(value.number)
    if index is not None or not value.shape or value.number == 0:
        return found
    ones = Formula(r"\mathbf{1}")
    return product(found, ones)
