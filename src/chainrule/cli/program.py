"""The program `chainrule`: its commands, and how it refuses bad input."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import click

from chainrule import __version__
from chainrule.errors import ChainruleError

COMMANDS = {
    "train": "Train a network on a table.",
    "predict": "Predict with a trained network.",
    "evaluate": "Measure a trained network on a table.",
    "describe": "Say what a trained network is.",
    "search": "Train many networks on a table and keep the best.",
    "export": "Write a trained network as NumPy source or ONNX.",
    "derive": "Write the backward pass of a function as NumPy source.",
    "explain": "Every number of a function's value and gradient, step by step.",
    "run": "Run a notebook or program of PyTorch or TensorFlow.",
}
"""Each command with its line in the help; it is defined as `command` in the module of its name."""

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended, by convention 128 + SIGINT."""

TRACEBACK = "chainrule.traceback"


class Refusal(click.ClickException):
    """Input that cannot be used: one paragraph, exit code 2."""

    exit_code = 2


class Program(click.Group):
    """A group whose commands are imported when they are called, so that `--help` need not wait for them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"chainrule.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for an unknown one, name the nearest."""
        if args[0] in COMMANDS or args[0].startswith("-"):
            return super().resolve_command(ctx, args)
        near = get_close_matches(args[0], COMMANDS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise Refusal(f"there is no command {args[0]!r}{hint}: the commands are {', '.join(COMMANDS)}")

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what chainrule refuses becomes a message, and Ctrl-C the usual exit code."""
        _never_fail_to_print()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\ninterrupted; nothing was saved", err=True)
            ctx.exit(INTERRUPTED)
        except (ChainruleError, MemoryError) as error:
            if ctx.meta.get(TRACEBACK):
                raise
            raise Refusal(str(error) or "this needs more memory than there is") from error


def _never_fail_to_print() -> None:
    # A terminal without UTF-8 shows ? for a character that it lacks.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _ask_for_traceback(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        ctx.meta[TRACEBACK] = True


def traceback_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--traceback` to a command."""
    return click.option(
        "--traceback",
        is_flag=True,
        expose_value=False,
        callback=_ask_for_traceback,
        help="Show where in the program an error arose.",
    )(command)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="chainrule %(version)s")
@traceback_option
def main() -> None:
    """Backpropagation that you can read, check and run at full speed."""
