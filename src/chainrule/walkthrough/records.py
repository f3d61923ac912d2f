"""What an account consists of: steps, the first wrong number, and the whole."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self, TypeVar

from chainrule.errors import InputError
from chainrule.lines import Place, position
from chainrule.typing import DType, Shape
from chainrule.walkthrough.account import Account

FORWARD, BACKWARD = "forward", "backward"


class SourceLine(NamedTuple):
    """A line of the user's program; its text is empty where it cannot be read."""

    file: str
    number: int
    text: str

    @classmethod
    def of(cls, place: Place) -> SourceLine:
        """The line of a place."""
        file, line, _ = position(place)
        return cls(file, line, linecache.getline(file, line).strip())

    def __str__(self) -> str:
        return f"{Path(self.file).name}, line {self.number}" + (f": {self.text}" if self.text else "")


@dataclass(frozen=True, eq=False)
class StepData:
    """A step without its views: those are in `steps.Step`, which says what the fields are."""

    number: int
    side: str
    name: str
    formula: str
    value: Any
    inputs: Mapping[str, Any]
    place: SourceLine | None = None
    of: str = ""
    through: str = ""
    parts: tuple[str, ...] = ()
    remark: str = ""
    account: Account | None = field(default=None, repr=False, compare=False)

    @property
    def values(self) -> dict[str, Any]:
        """Each result by its name."""
        if "," not in self.name:
            return {self.name: self.value}
        return dict(zip(self.name.rstrip(",").split(", "), self.value, strict=True))

    @property
    def shape(self) -> Shape:
        """The lengths of the axes; of the first result, where there are several."""
        return tuple(next(iter(self.values.values())).shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements; of the first result, where there are several."""
        return next(iter(self.values.values())).dtype

    @property
    def text(self) -> str:
        """The equation."""
        return f"{self.name} = {self.formula}"

    @property
    def latex(self) -> str:
        """The equation as LaTeX."""
        return self.text if self.account is None else self.account.formula(self.number)

    def concerns(self, name: str) -> bool:
        """Whether the step makes or uses a variable or its cotangent."""
        return name in {self.of, *self.values, *self.inputs} or f"d_{name}" in {*self.values, *self.inputs}


StepKind = TypeVar("StepKind", bound=StepData)


@dataclass(frozen=True, eq=False)
class Wrong:
    """The first wrong number: `kind` is nan, inf, exploding or vanishing.

    `step` is the step that makes it (None where it is given), `name` the array, `indices` the first element of it
    that is wrong (None where the whole is meant), `count` how many are, and `cause` says why, in a sentence.
    """

    kind: str
    name: str
    cause: str
    step: StepData | None = None
    indices: tuple[int, ...] | None = None
    count: int = 0

    @property
    def place(self) -> SourceLine | None:
        """The user's line."""
        return None if self.step is None else self.step.place

    def __str__(self) -> str:
        at = "given" if self.step is None else f"step {self.step.number}, {self.step.text}"
        return f"{at}: {self.cause}" + (f"\n  at {self.place}" if self.place else "")


@dataclass(frozen=True, eq=False)
class WalkthroughData(Generic[StepKind]):
    """An account without its views: those are in `steps.Walkthrough`, which says what the fields are."""

    name: str
    given: Mapping[str, Any]
    steps: tuple[StepKind, ...]
    by: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    first_wrong: Wrong | None = None
    account: Account | None = field(default=None, repr=False)

    @property
    def values(self) -> dict[str, Any]:
        """Every number of the account by its name, the given ones too."""
        return dict(self.given) | {n: v for step in self.steps for n, v in step.values.items()}

    @property
    def gradients(self) -> dict[str, Any]:
        """The gradient: the finished cotangent of each name in `by` that the value depends on."""
        # The parts of a cotangent come before their sum.
        finished = {step.of: step.value for step in self.steps if step.side == BACKWARD}
        return {name: finished[name] for name in self.by if name in finished}

    def step(self, number: int) -> StepKind:
        """The step of a number."""
        for step in self.steps:
            if step.number == number:
                return step
        if not self.steps:
            raise InputError(f"the account of {self.name} has no steps")
        first, last = self.steps[0].number, self.steps[-1].number
        raise InputError(f"the account of {self.name} has the steps {first} to {last}, and no step {number}")

    def about(self, name: str) -> Self:
        """The steps that make or use a variable or its cotangent."""
        if name not in {n for step in self.steps if step.side == FORWARD for n in step.values}:
            name = name if name in self.given else name.removeprefix("d_")
        steps = tuple(step for step in self.steps if step.concerns(name))
        if not steps and name not in self.given:
            known = [n for n in self.values if not n.startswith("d_")]
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise InputError(f"the account of {self.name} has no {name!r}{hint}; it has {', '.join(known)}")
        used = {n for step in steps for n in step.inputs}
        given = {n: value for n, value in self.given.items() if n in used or n == name}
        return replace(self, steps=steps, given=given, notes=())

    def __iter__(self) -> Iterator[StepKind]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)
