"""What the user calls a value: read from the instruction that stores it, and from the variables of the frames."""

from __future__ import annotations

import dis
import operator
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from chainrule.lines import place


class Stored(NamedTuple):
    """What becomes of the result of an instruction: the names it is stored under, and whether it is returned."""

    names: tuple[str, ...]
    returned: bool


NOWHERE = Stored((), False)
_TO_ATTRIBUTES = [
    [f"LOAD_{kind}", "STORE_ATTR"] for kind in ("FAST", "NAME", "GLOBAL", "DEREF", "FAST_BORROW")
]


def user_frame(frame: FrameType) -> FrameType:
    """The innermost frame of the user's program, from `frame` up."""
    while True:
        code, _ = place(frame)
        while frame.f_code is not code and frame.f_back is not None:
            frame = frame.f_back
        if frame.f_back is None or code.co_name not in ("pull", "keep") or "__name__" in frame.f_globals:
            return frame
        frame = frame.f_back  # that was a Plan, which is source without a file


def traced_frame(frame: FrameType) -> FrameType | None:
    """The user's frame that is under way in the traced function; None where that is a function of ours or NumPy's."""
    found = user_frame(frame)
    above: FrameType | None = frame
    while above is not None and above is not found:
        if _is_tracing(above):
            return None
        above = above.f_back
    return found


def _is_tracing(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == "chainrule.graph.tracing"


def names_of_result(frame: FrameType) -> tuple[str, ...]:
    """The names under which the user stores what `frame` is computing; the caller's, where it is returned."""
    names: tuple[str, ...] = ()
    for _ in range(20):
        stored = stored_at(frame.f_code, frame.f_lasti)
        names = stored.names or names
        caller = _caller(frame) if stored.returned else None
        if caller is None:
            break
        frame = caller
    return names


def _caller(frame: FrameType) -> FrameType | None:
    """The user's frame that called `frame`; None for the traced function, whose caller only wants a graph."""
    above = frame.f_back
    while above is not None and place(above)[0] is not above.f_code:
        if _is_tracing(above):
            return None
        above = above.f_back
    return above


@lru_cache(maxsize=4096)
def stored_at(code: CodeType, offset: int) -> Stored:
    """What becomes of the result of the instruction at an offset."""
    instructions = _instructions(code)
    # The instruction before, where the offset is in the caches of a call that is under way.
    index = bisect_right([i.offset for i in instructions], offset)
    return _targets(instructions, index)


@lru_cache(maxsize=256)
def _instructions(code: CodeType) -> list[dis.Instruction]:
    return list(dis.get_instructions(code))


def _targets(instructions: list[dis.Instruction], index: int) -> Stored:
    """What the instructions from number `index` on do with the topmost value."""
    while index < len(instructions) and instructions[index].opname in ("COPY", "NOP", "SWAP"):
        index += 1
    if index >= len(instructions):
        return NOWHERE
    if [i.opname for i in instructions[index : index + 2]] in _TO_ATTRIBUTES:  # self.hidden = ...
        index += 1
    instruction = instructions[index]
    if instruction.opname == "RETURN_VALUE":
        return Stored((), True)
    if instruction.opname == "UNPACK_SEQUENCE":
        return Stored(_unpacked(instructions, index), False)
    names = _names_stored(instruction)[:1]  # of a = b = ..., the first
    return Stored(tuple(names), bool(names) and _returns(instructions[index : index + 3], names[0]))


def _unpacked(instructions: list[dis.Instruction], index: int) -> tuple[str, ...]:
    """The names that a value is unpacked to, from the instruction number `index` on, nested ones too."""
    wanted, names = 1, []
    while wanted and index < len(instructions):
        instruction = instructions[index]
        if instruction.opname == "UNPACK_SEQUENCE":
            wanted += (instruction.arg or 0) - 1
        else:
            stored = _names_stored(instruction)
            if not stored:
                return ()
            names += stored
            wanted -= len(stored)
        index += 1
    return tuple(names) if not wanted else ()


def _names_stored(instruction: dis.Instruction) -> list[str]:
    """The name an instruction stores to; of a local variable, a global one, or an attribute."""
    if not instruction.opname.startswith("STORE_") or instruction.opname in ("STORE_SUBSCR", "STORE_SLICE"):
        return []
    value = instruction.argval
    if isinstance(value, tuple):  # STORE_FAST_STORE_FAST of Python 3.13
        names = [str(v) for v in value] if instruction.opname == "STORE_FAST_STORE_FAST" else [str(value[0])]
    else:
        names = [str(value)]
    return names if all(name.isidentifier() for name in names) else []


def _returns(following: list[dis.Instruction], name: str) -> bool:
    """Whether `name` is stored only to be returned at once: then the caller's name says more."""
    codes = [i.opname for i in following]
    loads = [i for i in following if i.opname.startswith("LOAD_FAST") or "_LOAD_FAST" in i.opname]
    return "RETURN_VALUE" in codes and len(loads) == 1 and name in str(loads[0].argval)


def name_of_array(array: Any, frame: FrameType, same: Callable[[Any, Any], bool] = operator.is_) -> str:
    """The name by which the user's program knows an array, from `frame` up; "" if it has none.

    What comes from outside has the name it has there, whatever a function calls its argument. `same` says what is
    taken for the array.
    """
    frames = [frame]
    while frames[-1].f_back is not None:
        frames.append(user_frame(frames[-1].f_back))
    for variables in (_outside, _inside):
        for each in frames:
            for name, value in variables(each):
                if same(value, array):
                    return name
    return ""


def name_of_attribute(value: Any, frame: FrameType | None) -> str:
    """What an object whose method is running calls `value`: a layer of ours its weights, for example."""
    while frame is not None:
        parts = getattr(frame.f_locals.get("self"), "__dict__", {})
        for name, part in parts.items():
            if part is value:
                return str(name)
        frame = frame.f_back
    return ""


def _outside(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """What a function finds outside of itself."""
    seen = frame.f_locals
    yield from ((name, seen[name]) for name in frame.f_code.co_freevars if name in seen)
    for name in frame.f_code.co_names:
        if name in frame.f_globals:
            yield name, frame.f_globals[name]


def _inside(frame: FrameType) -> Iterator[tuple[str, Any]]:
    """The variables of a function, and what its objects, dicts and lists hold."""
    seen = frame.f_locals
    yield from seen.items()
    for owner, value in seen.items():
        parts = value if type(value) is dict else getattr(value, "__dict__", None)
        if isinstance(parts, dict):
            yield from (
                (name, part) for name, part in parts.items() if isinstance(name, str) and name.isidentifier()
            )
        elif type(value) in (list, tuple):
            yield from ((f"{owner}_{i}", part) for i, part in enumerate(value))


def arrays_in_sight(frame: FrameType) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that the frame of the user's program can see."""
    return (
        (name, value) for name, value in chain(_outside(frame), _inside(frame)) if type(value) is np.ndarray
    )


def identifier(text: str) -> str:
    """A name that Python takes, made of a path or a key.

    >>> identifier("params['layer 1'][0]"), identifier("['2nd']"), identifier(".weight")
    ('params_layer_1_0', '_2nd', 'weight')
    """
    name = re.sub(r"\W+", "_", text).strip("_")
    return "_" + name if name[:1].isdigit() else name or "x"
