"""Reading JSON that somebody else may have written: every field is checked before it is used."""

from __future__ import annotations

import builtins
import json
import math
from typing import Any

from chainrule.errors import ModelFileError


class Record:
    """A JSON object whose fields are read by type; the first that does not fit is named.

    >>> record = Record.parse('{"network": {"sizes": [4, 3]}}', "iris.safetensors")
    >>> record.record("network").integers("sizes")
    [4, 3]
    >>> record.text("data")
    Traceback (most recent call last):
        ...
    chainrule.errors.ModelFileError: iris.safetensors: data is missing in its description
    """

    def __init__(self, fields: Any, file: str, place: str = "") -> None:
        self.file, self.place = file, place
        if not isinstance(fields, dict):
            raise self._wrong(place.rstrip(".") or "the description", "an object with fields", fields)
        self.fields: dict[str, Any] = fields

    @classmethod
    def parse(cls, text: str, file: str) -> Record:
        """Read JSON text.

        Raises:
            ModelFileError: it is no JSON object.
        """
        try:
            return cls(json.loads(text), file)
        # Hostile files nest deep enough to exhaust the stack, or hold integers of a million digits.
        except (ValueError, RecursionError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"{file}: its description is no valid JSON: {error}") from None

    def _wrong(self, name: str, expected: str, value: Any) -> ModelFileError:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else shown[:37] + "..."
        return ModelFileError(f"{self.file}: {name} in its description should be {expected}, but is {shown}")

    def value(self, name: str) -> Any:
        """The field as it is."""
        if name not in self.fields:
            raise ModelFileError(f"{self.file}: {self.place}{name} is missing in its description")
        return self.fields[name]

    def text(self, name: str) -> str:
        """A field of text."""
        return self._text(name, self.value(name))

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self._wrong(self.place + name, "a finite number", value)
        return float(value)

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise self._wrong(self.place + name, "true or false", value)
        return value

    def integer(self, name: str) -> int:
        """An integer."""
        return self._integer(name, self.value(name))

    def texts(self, name: str) -> builtins.list[str]:
        """A list of texts."""
        return [self._text(f"{name}[{i}]", value) for i, value in enumerate(self.list(name))]

    def integers(self, name: str) -> builtins.list[int]:
        """A list of integers."""
        return [self._integer(f"{name}[{i}]", value) for i, value in enumerate(self.list(name))]

    def record(self, name: str) -> Record:
        """A JSON object inside this one."""
        return Record(self.value(name), self.file, f"{self.place}{name}.")

    def records(self, name: str) -> builtins.list[Record]:
        """A list of JSON objects."""
        return [
            Record(value, self.file, f"{self.place}{name}[{i}].") for i, value in enumerate(self.list(name))
        ]

    def numbers(self, name: str) -> dict[str, float]:
        """A JSON object of finite numbers."""
        inner = self.record(name)
        return {key: inner.number(key) for key in inner.fields}

    def list(self, name: str) -> builtins.list[Any]:
        """A list, of whatever is in it."""
        value = self.value(name)
        if not isinstance(value, builtins.list):
            raise self._wrong(self.place + name, "a list", value)
        return value

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self._wrong(self.place + name, "text", value)
        return value

    def _integer(self, name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(self.place + name, "an integer", value)
        return value


def _finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
