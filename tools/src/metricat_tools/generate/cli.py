"""Generate the reference page of the command line from its commands."""

import argparse
import re
from collections.abc import Iterable, Iterator
from typing import Any

from metricat_cli import argparse_command, typer_command
from metricat_cli.__main__ import PROGRAM
from metricat_cli.commands import available, package_of

_HEAD = """# metricat: every command

<!-- Generated from cli/src/metricat_cli by `make generate`; do not edit. -->

To install `metricat` and its alias `kubectl metricat`, run `pip install ./rules ./operator ./cli` in a checkout. The
operator's image also contains the program. A command of another package names this package in its section. To complete
commands and names with Tab in bash, run `source <(metricat completion bash)`.

`metricat` without a command prints the help, and `metricat --version` prints the version. The exit status is 0 for
success, 1 if the command failed, and 2 for wrong arguments, if the section of the command has no other statement.

`metricat hub` and `metricat store` have subcommands, which are not on this page. The option `--help` lists them.
"""

Row = tuple[str, str, str]
"""Names, default and meaning of an option."""


def page() -> str:
    """Return the page as Markdown; equal commands result in equal pages."""
    parts = [_HEAD]
    for name, load in available().items():
        module = load()
        if hasattr(module, "command"):
            command = typer_command.build(module, name)
            parts.append(_section(name, str(command.help), _typer_rows(command)))
        else:
            parser = argparse_command.parser(module, name, PROGRAM)
            text = f"{parser.description}\n\nThis command is part of `{package_of(name)}`."
            parts.append(_section(name, text, _argparse_rows(parser)))
    return "".join(parts)


def _section(name: str, description: str, rows: Iterable[Row]) -> str:
    paragraphs = [" ".join(one.split()) for one in description.split("\n\n")]
    table = "".join(f"| {names} | {default} | {meaning} |\n" for names, default, meaning in rows)
    head = f"\n## {PROGRAM} {name}\n\n" + "\n\n".join(paragraphs) + "\n"
    return head + (f"\n| option | default | meaning |\n| --- | --- | --- |\n{table}" if table else "")


def _typer_rows(command: Any) -> Iterator[Row]:
    for one in command.params:
        if one.param_type_name == "argument":
            yield f"`{one.metavar}`", _default(one), _sentence(one.help)
            continue
        value = "" if one.is_flag else f" {one.metavar or 'VALUE'}"
        *others, last = one.opts
        yield ", ".join(f"`{name}`" for name in (*others, f"{last}{value}")), _default(one), _sentence(one.help)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "*required*"
    return f"`{parameter.default}`" if parameter.default not in (None, "", False) else ""


def _argparse_rows(parser: argparse.ArgumentParser) -> Iterator[Row]:
    for action in parser._actions:  # noqa: SLF001 -- argparse has no public list
        if action.option_strings and action.dest != "help":
            value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
            if action.choices:
                value = "|".join(map(str, action.choices))
            *others, last = action.option_strings
            names = ", ".join(f"`{name}`" for name in (*others, f"{last} {value}".rstrip().replace("|", "\\|")))
            text = isinstance(action.default, str) and action.nargs != 0
            default = "*required*" if action.required else f"`{action.default}`" if text else ""
            yield names, default, _sentence(re.sub(r" \(default %\(default\)s\)", "", action.help or ""))


def _sentence(text: str | None) -> str:
    found = text or ""
    return f"{found[:1].upper()}{found[1:]}."
