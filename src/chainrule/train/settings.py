"""What a training run is told: the options of `chainrule train`, also as a configuration file."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from chainrule import nn, optim
from chainrule.data import Form
from chainrule.errors import OptionError
from chainrule.suggestions import did_you_mean

MAX_WIDTH = 65_536
MAX_PARAMETERS = 100_000_000
"""With Adam, their gradients and copies that is about 5 GB."""

LEAST_BATCH, MOST_BATCH, STEPS = 16, 512, 64
"""Without `batch`, an epoch has about so many steps."""

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """How a network for a table is built and trained; checked when it is made.

    Attributes:
        hidden: widths of the hidden layers; empty for none.
        activation: a name of `nn.ACTIVATIONS`.
        optimizer: a name of `optim.RULES`; `rate` None is its own first rate, ``"auto"`` searches one.
        schedule: a name of `optim.SCHEDULES`.
        weight_decay: None is the optimizer's own.
        epochs, batch: passes over the training part, rows in a mini-batch; `batch` None goes by the number of rows.
        dropout: the share of hidden values that are dropped while training.
        class_weight: ``"balanced"`` lets all classes count alike.
        seed: of the split, the first weights and the order of rows.
        validation: the fraction of rows that choose the epoch to keep, or a file with them.
        test: the fraction of rows that nothing is chosen by, or a file; 0 for none.
        folds: how many parts of cross-validation; 0 for none.
        patience: stop after so many epochs without a lower validation loss; 0 for never.
        task: ``"classification"``, ``"regression"``, or None for what fits the target.
        compile: as in `Training`: ``"yes"``, ``"no"``, or ``"auto"``, where it pays.
        numeric, category, date, leave_out: columns that are to be taken so.
        header: whether the first line of text has the columns' names: ``"yes"``, ``"no"``, or ``"auto"``, found out.

    Raises:
        OptionError: a value out of range; the message names it and what is expected.

    >>> Settings(optimizer="sgd").rate
    0.1
    >>> Settings(hidden=(8, 0))
    Traceback (most recent call last):
        ...
    chainrule.errors.OptionError: --hidden 8,0: each layer needs a width from 1 to 65536; none means no layer
    """

    hidden: tuple[int, ...] = (8,)
    activation: str = "tanh"
    optimizer: str = "adam"
    rate: float | str | None = None
    schedule: str = "constant"
    weight_decay: float | None = None
    epochs: int = 200
    batch: int | None = None
    dropout: float = 0.0
    class_weight: str | None = None
    seed: int = 0
    validation: float | str = 0.2
    test: float | str = 0.2
    folds: int = 0
    patience: int = 50
    task: str | None = None
    compile: str = AUTO
    numeric: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    date: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    header: str = AUTO

    def __post_init__(self) -> None:
        _check_hidden(self.hidden)
        nn.activation(self.activation)
        optim.schedule(self.schedule)
        rule = optim.rule(self.optimizer)
        if self.rate is None:
            object.__setattr__(self, "rate", rule.rate)
        if self.rate != AUTO:
            _check_range("rate", self.rate, 0, math.inf, "0.01 is a usual start, and auto searches one")
        self._check_parts()
        _check_choice("class-weight", self.class_weight, ("balanced",))
        _check_choice("task", self.task, ("classification", "regression"))
        _check_choice("compile", self.compile, (AUTO, "yes", "no"))
        has_header(self.header)
        for name, least in (("epochs", 1), ("batch", 1), ("seed", 0), ("folds", 0), ("patience", 0)):
            if not (name == "batch" and self.batch is None):
                check_integer(name, getattr(self, name), least)
        self._check_columns()

    def _check_parts(self) -> None:
        if not isinstance(self.validation, str):
            _check_range("validation", self.validation, 0, 1, "0.2 takes a fifth of the rows")
        if not isinstance(self.test, str):
            _check_range("test", self.test, 0, 1, "0.2 takes a fifth of the rows", closed=True)
        _check_range("dropout", self.dropout, 0, 1, "0.2 drops a fifth", closed=True)
        if self.weight_decay is not None:
            _check_range("weight-decay", self.weight_decay, 0, math.inf, "0.0001 is usual", closed=True)
        held = sum(part for part in (self.validation, self.test) if not isinstance(part, str))
        if held >= 1:
            raise OptionError(
                f"--validation {self.validation} --test {self.test}: nothing is left to train on"
            )
        if self.folds == 1:
            raise OptionError("--folds 1: cross-validation needs at least 2 folds; 5 is usual")

    def _check_columns(self) -> None:
        seen: dict[str, str] = {}
        for option in ("numeric", "category", "date", "leave_out"):
            for name in getattr(self, option):
                if not isinstance(name, str):
                    raise OptionError(f"--{option.replace('_', '-')}: a column's name is text, not {name!r}")
                if name in seen:
                    raise OptionError(
                        f"column {name} is given to --{seen[name]} and to --{option.replace('_', '-')}"
                    )
                seen[name] = option.replace("_", "-")

    @property
    def forms(self) -> dict[str, Form]:
        """The columns whose form is given."""
        return (
            {name: Form("numeric", lenient=True) for name in self.numeric}
            | {name: Form("category") for name in self.category}
            | {name: Form("date") for name in self.date}
        )

    @property
    def has_header(self) -> bool | None:
        """`header` as `read_table` takes it."""
        return has_header(self.header)

    def batch_for(self, rows: int) -> int:
        """Rows in a mini-batch, for so many rows to train on: a power of two where none was given.

        >>> [Settings().batch_for(rows) for rows in (90, 10_000, 1_000_000)]
        [16, 128, 512]
        """
        if self.batch is not None:
            return self.batch
        power = 2 ** round(math.log2(max(rows, 1) / STEPS)) if rows > STEPS else LEAST_BATCH
        return min(MOST_BATCH, max(LEAST_BATCH, power))

    def new_optimizer(self, parameters: Any, rate: float | None = None) -> optim.Optimizer:
        """The optimizer, at the given rate or that of the settings."""
        decay = {} if self.weight_decay is None else {"weight_decay": float(self.weight_decay)}
        rate = rate if rate is not None else None if self.rate == AUTO else float(self.rate or 0)
        return optim.Optimizer(parameters, self.optimizer, rate=rate, **decay)


def require_affordable(sizes: Sequence[int], vectors: Sequence[tuple[int, int]] = ()) -> None:
    """Refuse a network of more parameters than training on a CPU can be meant with.

    Raises:
        OptionError: naming the number of parameters.

    >>> require_affordable((4, 8, 3))
    """
    count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    count += sum(number * length for number, length in vectors)
    if count > MAX_PARAMETERS:
        raise OptionError(
            f"--hidden: a network {'-'.join(map(str, sizes))} has {count:,} parameters, and "
            f"{MAX_PARAMETERS:,} is the limit; give smaller widths"
        )


def has_header(choice: str) -> bool | None:
    """`--header` as `read_table` takes it: None finds it out.

    Raises:
        OptionError: another word.

    >>> [has_header(choice) for choice in ("yes", "no", "auto")]
    [True, False, None]
    """
    _check_choice("header", choice, (AUTO, "yes", "no"))
    return {"yes": True, "no": False}.get(choice)


def hidden_sizes(text: str) -> tuple[int, ...]:
    """The widths of hidden layers as written on the command line: ``8,8``, or ``none``.

    Raises:
        OptionError: something that is no whole number.

    >>> hidden_sizes("8, 4"), hidden_sizes("none")
    ((8, 4), ())
    """
    if text.strip().lower() == "none":
        return ()
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError:
        raise OptionError(
            f"--hidden {text!r}: give the widths of the hidden layers as whole numbers separated by commas, "
            "such as 8,8, or none for no hidden layer"
        ) from None


# configuration files -------------------------------------------------------------------------------------------


def read_config(path: str | Path, extra: Sequence[str] = ()) -> dict[str, Any]:
    """The options in a TOML file, under their names in `Settings`; those in `extra` may be there too.

    Raises:
        OptionError: the file cannot be read, or names an unknown option.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"--config {path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise OptionError(f"--config {path} is no TOML file: {error}") from error
    known = [*(f.name for f in fields(Settings)), *extra]
    options = {name.replace("-", "_"): value for name, value in found.items()}
    for name in options:
        if name not in known:
            raise OptionError(f"--config {path}: there is no option {name!r}{did_you_mean(name, known)}")
    return options


def settings_of(options: Mapping[str, Any]) -> Settings:
    """Settings from a configuration or a checkpoint, where lists stand for tuples.

    Raises:
        OptionError: an unknown option, or a value of another type or out of range.

    >>> settings_of({"hidden": [4], "epochs": 3}).hidden
    (4,)
    """
    known = {f.name: f.default for f in fields(Settings)}
    given: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise OptionError(f"there is no option {name!r}{did_you_mean(name, known)}")
        if isinstance(known[name], tuple):
            if not isinstance(value, list | tuple):
                raise OptionError(f"{name} should be a list, but is {value!r}")
            value = tuple(value)
        elif isinstance(known[name], str) and not isinstance(value, str):
            raise OptionError(f"{name} should be text, but is {value!r}")
        given[name] = value
    return Settings(**given)


def config_text(options: Mapping[str, Any]) -> str:
    """Options as a TOML file that `read_config` reads; None is left out.

    >>> print(config_text({"data": "iris", "hidden": (8,), "task": None}), end="")
    data = "iris"
    hidden = [8]
    """
    shown = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    # JSON's numbers, strings and lists of them are TOML's too.
    return "".join(
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n"
        for name, value in shown.items()
        if value is not None
    )


def _check_hidden(hidden: tuple[int, ...]) -> None:
    if not all(type(width) is int and 1 <= width <= MAX_WIDTH for width in hidden):
        widths = ",".join(str(width) for width in hidden)
        raise OptionError(
            f"--hidden {widths}: each layer needs a width from 1 to {MAX_WIDTH}; none means no layer"
        )


def _check_range(name: str, value: Any, low: float, high: float, hint: str, *, closed: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (low <= value if closed else low < value) or not value < high:
        limits = f"{'at least' if closed else 'above'} {low}" + (
            "" if high == math.inf else f" and below {high}"
        )
        raise OptionError(f"--{name} {value}: it must be a number {limits}; {hint}")


def check_integer(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number of at least `least`, naming the option.

    Raises:
        OptionError: the message says what was given, and what is expected.

    >>> check_integer("trials", 20, 1)
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"--{name} {value}: it must be a whole number of at least {least}")


def _check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    if value is not None and value not in known:
        raise OptionError(f"--{name} {value}: choose {' or '.join(known)}")
