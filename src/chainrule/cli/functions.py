"""FILE:FUNCTION and --args of the command line: the function, and what to call it with."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import walk_tb
from types import ModuleType
from typing import Any

import numpy as np

from chainrule.errors import ChainruleError, OptionError, ProgramError
from chainrule.programs import Program, read_program
from chainrule.programs.failures import failure_of
from chainrule.suggestions import did_you_mean

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def load_call(spec: str, args: str | None) -> Call:
    """The function that `FILE:FUNCTION` names, and its arguments.

    The file is run as a module, not as a program: what stands under `if __name__ == "__main__"` is left out. `args`
    is an expression of Python in which everything in the file, and `np`, can be used; a tuple has one element for
    each argument, unless it is the value of a name that the first parameter has too. Without `args`, each parameter
    has the value that the file has under its name.

    Raises ProgramError, with the line, where the file cannot be read or its code fails, and OptionError where it has
    no such function or the arguments do not fit.
    """
    program, name = _split(spec)
    namespace = _executed(program)
    function = _found(namespace, name, program)
    given = _by_name(function, name, namespace, program) if args is None else _evaluated(args, namespace)
    return function, _fitting(function, name, given, args)


def numbers_of(argnums: str | None) -> int | tuple[int, ...] | None:
    """The numbers of arguments that `--argnums` gives: `0`, `0,1`, or `none`.

    >>> numbers_of("0"), numbers_of("0,1"), numbers_of("none"), numbers_of(None)
    (0, (0, 1), (), None)
    """
    if argnums is None or argnums == "none":
        return None if argnums is None else ()
    try:
        numbers = tuple(int(part) for part in argnums.split(","))
    except ValueError:
        raise OptionError(
            f"--argnums {argnums!r}: give the numbers of arguments, such as 0 or 0,1, or none"
        ) from None
    return numbers if "," in argnums else numbers[0]


@contextmanager
def user_errors(spec: str) -> Iterator[None]:
    """Let an exception of the user's code inside the block be told by its own line, as a ProgramError.

    What chainrule refuses passes unchanged.
    """
    program, _ = _split(spec)
    with _told(program):
        yield


def _split(spec: str) -> tuple[Program, str]:
    file, colon, name = spec.rpartition(":")
    if not (file and colon and name):
        raise OptionError(f"{spec!r}: give a file and a function in it, such as model.py:loss")
    if not file.endswith(".py"):
        raise OptionError(f"{file!r} in {spec!r} is no Python file; its name must end in .py")
    return read_program(file), name


@contextmanager
def _told(program: Program) -> Iterator[None]:
    try:
        yield
    except ChainruleError as error:
        if _says_where(error) or not _passed_through(error, program):
            raise
        raise ProgramError(str(failure_of(error, program.cells[0], program))) from error
    except (Exception, SystemExit) as error:
        raise ProgramError(str(failure_of(error, program.cells[0], program))) from error


def _says_where(error: ChainruleError) -> bool:
    return re.search(r"\bline \d", str(error)) is not None


def _passed_through(error: ChainruleError, program: Program) -> bool:
    """Whether it is an operation of the user's program that was refused."""
    (cell,) = program.cells
    return any(frame.f_code.co_filename == cell.name for frame, _ in walk_tb(error.__traceback__))


def _executed(program: Program) -> dict[str, Any]:
    """What running the file defines."""
    (cell,) = program.cells
    module = ModuleType(program.path.stem)
    module.__file__ = cell.name
    if str(program.folder) not in sys.path:  # a function may import its neighbours when it is called
        sys.path.insert(0, str(program.folder))
    # Dataclasses and pickling look their module up; a module of the standard library keeps its name.
    sys.modules.setdefault(module.__name__, module)
    with _told(program):
        exec(compile(cell.source, cell.name, "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _found(namespace: dict[str, Any], name: str, program: Program) -> Callable[..., Any]:
    """A function of the file, or a method of an object in it: `loss`, `network.loss`."""
    first, *rest = name.split(".")
    own = namespace["__name__"]
    functions = [n for n, v in namespace.items() if callable(v) and getattr(v, "__module__", None) == own]
    if first not in namespace:
        raise OptionError(
            f"{program.path} has no function {name!r}{did_you_mean(first, functions)}; "
            f"it has {', '.join(functions) or 'none at all'}"
        )
    found = namespace[first]
    for part in rest:
        if not hasattr(found, part):
            raise OptionError(f"{program.path}: {first} has no {part!r}{did_you_mean(part, dir(found))}")
        found = getattr(found, part)
    if not callable(found):
        raise OptionError(f"{name!r} in {program.path} is no function but {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def _by_name(
    function: Callable[..., Any], name: str, namespace: dict[str, Any], program: Program
) -> tuple[Any, ...]:
    """What the file calls as the function calls its parameters; those with a default may be missing."""
    given: list[Any] = []
    missing: list[str] = []
    for parameter in _parameters(function):
        if parameter.name in namespace and not missing:
            given.append(namespace[parameter.name])
        elif parameter.default is parameter.empty:
            missing.append(parameter.name)
        else:
            break
    if missing:
        raise OptionError(
            f"{name}{_signature(function)} needs {', '.join(missing)}, and {program.path} has nothing of that name; "
            f'give the arguments as an expression, such as --args "{_example(function)}"'
        )
    return tuple(given)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _signature(function: Callable[..., Any]) -> str:
    return f"({', '.join(p.name for p in _parameters(function))})"


def _example(function: Callable[..., Any]) -> str:
    return ", ".join("np.ones((3, 2))" if i == 0 else "0.5" for i, _ in enumerate(_parameters(function)))


def _evaluated(args: str, namespace: dict[str, Any]) -> Any:
    source = args.strip()
    try:
        tree = ast.parse(source, "--args", "eval")
    except SyntaxError as error:
        raise OptionError(
            f"--args {args!r} is no expression of Python: {error.msg} at column {error.offset}"
        ) from error
    try:
        return eval(compile(tree, "--args", "eval"), {"np": np} | namespace)
    except NameError as error:
        names = [n for n in namespace if not n.startswith("_")]
        raise OptionError(
            f"--args {args!r}: the file has no {error.name!r}{did_you_mean(str(error.name), names)}"
        ) from error
    except Exception as error:
        raise OptionError(f"--args {args!r}: {type(error).__name__}: {error}") from error


def _fitting(function: Callable[..., Any], name: str, given: Any, args: str | None) -> tuple[Any, ...]:
    """The arguments: a tuple has one for each parameter, a list is one if the function takes one.

    A tuple that is called as the first parameter is called is meant for that parameter.
    """
    ways: list[tuple[Any, ...]] = [(given,)]
    if args is None:
        ways = [given]
    elif isinstance(given, tuple) and [p.name for p in _parameters(function)[:1]] != [args.strip()]:
        ways = [given, (given,)]
    elif isinstance(given, list):
        ways = [(given,), tuple(given)]
    for way in ways:
        if _binds(function, way):
            return way
    count = len(ways[0]) if isinstance(given, tuple) else 1
    raise OptionError(
        f"{name}{_signature(function)} takes {len(_parameters(function))} arguments, "
        f"and --args {args!r} gives {count}"
    )


def _binds(function: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # a built-in function that tells nothing of its parameters
        return True
    return True
