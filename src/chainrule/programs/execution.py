"""Running the cells of a program: in its folder, in a namespace of its own, leaving nothing behind."""

from __future__ import annotations

import ast
import builtins
import linecache
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from chainrule.errors import ProgramError
from chainrule.programs.cells import Cell, Program
from chainrule.programs.display import Output
from chainrule.programs.facades import answered_by_facades
from chainrule.programs.failures import Failure, failure_of
from chainrule.programs.magics import without_magics

Seed = Callable[[str, ModuleType], None]
_BACKEND = "MPLBACKEND"


@dataclass
class Outcome:
    """What came of a cell."""

    cell: Cell
    output: Output
    skipped: list[str] = field(default_factory=list)
    failure: Failure | None = None
    exit_code: int = 0


def run_program(
    program: Program,
    real: Collection[str] = (),
    *,
    seed: int | None = None,
    echo: Callable[[str], None] | None = None,
    before: Callable[[Cell], None] = lambda cell: None,
    after: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run the cells one after the other, up to the first that fails or ends the program.

    PyTorch and TensorFlow are answered by the façades, except for the libraries `real`. With `seed`, all
    random numbers that the program does not seed itself start from it. `echo` is given the output as it
    comes; `before` and `after` are called around each cell.
    """
    outcomes = []
    module = ModuleType("__main__")
    with _surroundings(program, module, real, seed):
        for cell in program.cells:
            before(cell)
            outcome = _run(cell, module.__dict__, program, Output(echo))
            outcomes.append(outcome)
            after(outcome)
            if outcome.failure is not None or outcome.exit_code:
                break
    return outcomes


def _run(cell: Cell, namespace: dict[str, Any], program: Program, output: Output) -> Outcome:
    source, skipped = without_magics(cell.source, cell.name) if program.is_notebook else (cell.source, [])
    outcome = Outcome(cell, output, skipped)
    if program.is_notebook:
        linecache.cache[cell.name] = (len(source), None, cell.source.splitlines(keepends=True), cell.name)
        namespace["display"] = output.show_all
    else:
        namespace["__file__"] = cell.name
    try:
        with redirect_stdout(output):
            _execute(_compiled(source, cell.name, program.is_notebook), namespace, output)
    except SystemExit as stop:
        outcome.exit_code = _exit_code(stop)
    except Exception as error:
        outcome.failure = failure_of(error, cell, program)
    return outcome


def _compiled(source: str, name: str, shows_value: bool) -> tuple[CodeType, CodeType | None]:
    """The code of a cell, and apart from it that of the last expression, if its value is to be shown."""
    tree = ast.parse(source, name)
    last = tree.body[-1] if tree.body else None
    if not shows_value or not isinstance(last, ast.Expr) or _is_silenced(source, last):
        return compile(tree, name, "exec"), None
    tree.body.pop()
    return compile(tree, name, "exec"), compile(ast.Expression(last.value), name, "eval")


def _is_silenced(source: str, last: ast.Expr) -> bool:
    """Whether a semicolon follows the last expression."""
    rest = source.split("\n")[(last.end_lineno or 1) - 1 :]
    rest[0] = rest[0].encode()[last.end_col_offset :].decode()
    return any(line.strip().startswith(";") for line in rest)


def _execute(code: tuple[CodeType, CodeType | None], namespace: dict[str, Any], output: Output) -> None:
    body, last = code
    exec(body, namespace)
    if last is not None:
        value = eval(last, namespace)
        if value is not None:
            namespace["_"] = value
            output.show(value)


def _exit_code(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    print(stop.code, file=sys.stderr)
    return 1


# the surroundings ----------------------------------------------------------------------------------------


@contextmanager
def _surroundings(
    program: Program, main: ModuleType, real: Collection[str], seed: int | None
) -> Iterator[None]:
    """The program's folder, arguments, modules and warnings; afterwards everything is as it was before."""
    main.__dict__["__builtins__"] = builtins
    with ExitStack() as stack:
        stack.enter_context(np.printoptions())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(_interpreter(program, main))
        stack.enter_context(_figures())
        stack.enter_context(answered_by_facades(real, _seeding(seed)))
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
        for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
        yield


@contextmanager
def _interpreter(program: Program, main: ModuleType) -> Iterator[None]:
    folder, kept = program.folder, _Kept()
    try:
        os.chdir(folder)
        sys.argv, sys.path = [str(program.path)], [str(folder), *sys.path]
        sys.modules["__main__"], sys.dont_write_bytecode = main, True
        if program.is_notebook:
            builtins.input = _nobody_to_ask
        yield
    finally:
        kept.restore(program)


class _Kept:
    """What a program may change of the interpreter."""

    def __init__(self) -> None:
        self.folder, self.argv, self.path = os.getcwd(), sys.argv, sys.path
        self.main, self.modules = sys.modules["__main__"], set(sys.modules)
        self.bytecode, self.input = sys.dont_write_bytecode, builtins.input

    def restore(self, program: Program) -> None:
        os.chdir(self.folder)
        sys.argv, sys.path, sys.modules["__main__"] = self.argv, self.path, self.main
        sys.dont_write_bytecode, builtins.input = self.bytecode, self.input
        for name in set(sys.modules) - self.modules:
            if program.owns(getattr(sys.modules[name], "__file__", None) or ""):
                del sys.modules[name]  # a module of the program's own, to be run again with it


def _nobody_to_ask(prompt: object = "") -> str:
    raise ProgramError(
        f"input({str(prompt)!r}) asks a question, but nobody is asked while a notebook is run; "
        f"set the value in the cell instead"
    )


@contextmanager
def _figures() -> Iterator[None]:
    """Figures are drawn, but not shown."""
    before = os.environ.get(_BACKEND)
    os.environ[_BACKEND] = "Agg"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_BACKEND]
        else:
            os.environ[_BACKEND] = before
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def _seeding(seed: int | None) -> Seed | None:
    """Start every generator from `seed`, those of the façades as they are imported."""
    if seed is None:
        return None
    import_module("random").seed(seed)
    np.random.seed(seed)
    for name in ("torch", "tensorflow"):
        if name in sys.modules:
            _seed_library(name, sys.modules[name], seed)
    return lambda name, module: _seed_library(name, module, seed)


def _seed_library(name: str, library: Any, seed: int) -> None:
    if name == "torch":
        library.manual_seed(seed)
    else:
        import_module(f"{library.__name__.removesuffix('.keras')}.random").set_seed(seed)
