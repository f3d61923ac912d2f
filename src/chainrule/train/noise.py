"""Random numbers for native steps: drawn by NumPy before a call, in the order in which the layers would draw them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Examples
from chainrule.errors import UnsupportedError
from chainrule.modes import no_grad
from chainrule.nn import Dropout, Module

MOST_BYTES = 32 << 20
"""Of numbers that are drawn at a time, unless a single mini-batch needs more."""


class Call(NamedTuple):
    """A layer that draws numbers for each mini-batch, and the shape of those for one row."""

    layer: Dropout
    shape: tuple[int, ...]


def calls_of(model: Module, examples: Examples) -> list[Call]:
    """Which layers draw numbers while the model trains, in their order.

    Raises:
        UnsupportedError: they cannot be drawn before the steps.
    """
    layers = [module for module in model.modules() if _draws(module)]
    others = [type(module).__name__ for module in layers if not isinstance(module, Dropout)]
    if others:
        raise UnsupportedError(f"{others[0]} draws random numbers in a way that native code does not know")
    calls: list[Call] = []
    rows = min(examples.rows, 2)

    def noted(layer: Dropout, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if shape[:1] != (rows,):
            raise UnsupportedError(
                f"{layer!r} draws numbers of shape {shape}, not some for each of {rows} rows"
            )
        calls.append(Call(layer, shape[1:]))
        return np.ones(shape, np.float32)

    if layers:
        model.train()
        with no_grad(), np.errstate(all="ignore"), _drawn_by(layers, noted):
            model(examples.features[:rows])
    return calls


def _draws(module: Module) -> bool:
    random = any(isinstance(value, np.random.Generator) for value in vars(module).values())
    return random and bool(getattr(module, "share", 1))


class Noise:
    """The numbers that the layers of a model draw, a row of them for each row of a mini-batch.

    A native step finds them beside its rows, which are therefore copied in the order of the steps.

    Attributes:
        examples: the rows of the next steps, in their order.
        drawn: for each call of a layer, the numbers for these rows.
    """

    def __init__(self, calls: Sequence[Call], source: Examples, batch: int) -> None:
        self._calls, self._source = calls, source
        each = sum(4 * int(np.prod(call.shape)) for call in calls)
        rows = min(source.rows, max(batch, MOST_BYTES // max(each, 1)))
        first = source.take(slice(rows))
        self.examples = Examples(*(None if array is None else array.copy() for array in first))  # type: ignore[arg-type]
        self.drawn = [np.zeros((rows, *call.shape), np.float32) for call in calls]

    def portions(self, places: NDArray[np.int64], batch: int) -> Iterator[NDArray[np.int64]]:
        """The rows at `places`, as many at a time as there is room for, with the numbers of their steps."""
        most = self.examples.rows // batch * batch or self.examples.rows
        for start in range(0, len(places), most):
            chosen = places[start : start + most]
            for mine, array in zip(self.examples, self._source, strict=True):
                if mine is not None and array is not None:
                    mine[: len(chosen)] = array[chosen]
            for first in range(0, len(chosen), batch):
                step = slice(first, min(first + batch, len(chosen)))
                for call, numbers in zip(self._calls, self.drawn, strict=True):
                    call.layer.generator.random(out=numbers[step], dtype=np.float32)
            yield np.arange(len(chosen))

    @contextmanager
    def given(self, numbers: Sequence[Any]) -> Iterator[None]:
        """Let the layers find these numbers, for each call, where they would draw some."""
        coming = iter(numbers)
        with _drawn_by([call.layer for call in self._calls], lambda layer, shape: next(coming)):
            yield


class _Generator:
    """Stands for the generator of a layer."""

    def __init__(self, layer: Dropout, draw: Callable[[Dropout, tuple[int, ...]], Any]) -> None:
        self._layer, self._draw = layer, draw

    def random(self, shape: tuple[int, ...], dtype: Any) -> Any:  # as NumPy's
        return self._draw(self._layer, shape)


@contextmanager
def _drawn_by(layers: Sequence[Any], draw: Callable[[Dropout, tuple[int, ...]], Any]) -> Iterator[None]:
    """Let layers have their random numbers from a function of the layer and the shape while the body runs."""
    different = {id(layer): layer for layer in layers}.values()
    before = [(layer, layer.generator) for layer in different]
    try:
        for layer in different:
            layer.generator = _Generator(layer, draw)
        yield
    finally:
        for layer, generator in before:
            layer.generator = generator
