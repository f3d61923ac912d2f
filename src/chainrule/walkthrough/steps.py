"""Step and Walkthrough: the account with its views, as text, in colours, as Markdown and LaTeX, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainrule.errors import InputError
from chainrule.graph.emit import drawing
from chainrule.walkthrough.markdown import account_markdown, step_markdown
from chainrule.walkthrough.pictures import names, notes
from chainrule.walkthrough.records import StepData, WalkthroughData
from chainrule.walkthrough.terminal import show
from chainrule.walkthrough.text import account_lines, plain, step_lines

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False, repr=False)
class Step(StepData):
    """One line of the account, `name = formula`, with its value: `print` shows what it is computed from.

    `formula` is Python with NumPy, and `inputs` are the values of the names in it. `side` is "forward" or "backward".
    For a cotangent, `of` is its variable, `through` the equation whose rule makes it (empty for a sum of cotangents),
    and `parts` are the cotangents that are added up where paths meet. `place` is the line of the program, and
    `remark` says what is wrong with the numbers. A primitive that returns a tuple has the names of its parts in `name`,
    with commas, and a tuple as its value.
    """

    def __str__(self) -> str:
        return plain(step_lines(self))

    def show(self, console: Console | None = None) -> None:
        """Print it with colours, on the terminal or on a Console of rich."""
        show(step_lines(self), console)

    def markdown(self) -> str:
        """The step as Markdown, with its formula as LaTeX."""
        return step_markdown(self)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def __repr__(self) -> str:
        return f"Step({self.number}: {self.text})"


@dataclass(frozen=True, eq=False, repr=False)
class Walkthrough(WalkthroughData[Step]):
    """The account of a function's value and gradient: `print` shows it, a notebook shows it in formulas.

    `steps` are in the order in which they are computed; every formula uses the names of earlier steps and of `given`
    only. `values` has every number by its name, and `gradients` those of the names `by` which the value is
    differentiated. `first_wrong` is the first NaN, Inf, exploding or vanishing cotangent with its cause, or None.
    `notes` say what the account leaves out.
    """

    def __str__(self) -> str:
        return plain(account_lines(self))

    def __repr__(self) -> str:
        return f"Walkthrough({self.name}: {len(self.steps)} steps)"

    def show(self, console: Console | None = None) -> None:
        """Print it with colours, on the terminal or on a Console of rich."""
        show(account_lines(self), console)

    def markdown(self) -> str:
        """The account as Markdown, with the formulas as LaTeX where there is one."""
        return account_markdown(self)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def latex(self) -> str:
        """The equations of all steps as LaTeX, one below the other."""
        rows = [step.latex.replace("=", "&=", 1) + rf" \tag{{{step.number}}}" for step in self.steps]
        return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"

    def _repr_latex_(self) -> str:
        return self.latex()

    def picture(self, direction: str = "down") -> str:
        """The graph as SVG, with shapes, values and cotangents; `direction` is "down" or "right"."""
        return self._drawn(drawing.svg, direction)

    def dot(self, direction: str = "down") -> str:
        """The picture in the language of Graphviz."""
        return self._drawn(drawing.dot, direction)

    def mermaid(self, direction: str = "down") -> str:
        """The picture in the language of Mermaid."""
        return self._drawn(drawing.mermaid, direction)

    def _drawn(self, draw: Callable[..., str], direction: str) -> str:
        if self.account is None:
            raise InputError(f"the account of {self.name} has no graph to be drawn")
        account = self.account
        return draw(account.unmarked, notes(account), direction=direction, names=names(account))
