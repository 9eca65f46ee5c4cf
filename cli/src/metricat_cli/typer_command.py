"""Run a command whose options are the parameters of a function, with Typer."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, cast

import typer
from typer.main import get_command

from metricat_cli.errors import ArgumentError
from metricat_cli.options import close_connections

_VALUE = re.compile(r"^Invalid value(?: for .+?)?: (?=invalid )")


def build(module: Any, name: str) -> Any:
    """Return the command of a module as Typer's object."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name, context_settings={"help_option_names": ["-h", "--help"]})(module.command)
    return get_command(app)


def run(module: Any, name: str, arguments: Sequence[str], program: str) -> int:
    """Run the command; return its exit status."""
    path = f"{program} {name}"
    try:
        status = build(module, name).main(list(arguments), prog_name=path, standalone_mode=False)
    except typer.TyperException as error:
        raise ArgumentError(f"{_text(error)}\nRun '{path} --help' for usage.") from None
    finally:
        close_connections()
    return cast("int", status or 0)


def _text(error: typer.TyperException) -> str:
    """Return Typer's message without values, which may be secrets, and in the style of our messages."""
    message = _VALUE.sub("", error.format_message()).rstrip(".")
    if (name := getattr(error, "option_name", "")) and hasattr(error, "possibilities"):
        near = get_close_matches(name, error.possibilities or [], 1)
        return f"unrecognized argument {name}" + (f"; did you mean {near[0]}?" if near else "")
    return f"{message[:1].lower()}{message[1:]}"
