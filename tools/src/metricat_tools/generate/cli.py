"""Generate the reference page of the command line from its parsers."""

import argparse
import re

from metricat_cli.__main__ import build_parser

_HEAD = """# metricat: every command

<!-- Generated from cli/src/metricat_cli by `make generate`; do not edit. -->

To install `metricat` and its alias `kubectl metricat`, run `pip install ./rules ./operator ./cli` in a checkout.
`metricat` without a command prints the help. The exit status is 0 for success, 1 if the command failed, 2 for wrong
arguments.
"""


def page() -> str:
    """Return the page, the same for the same parsers."""
    parser = build_parser()
    parts = [_HEAD, _options(parser)]
    for action in parser._actions:  # noqa: SLF001 -- argparse has no public list
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 -- as above
            parts += [_command(command) for command in action.choices.values()]
    return "".join(parts)


def _command(parser: argparse.ArgumentParser) -> str:
    return f"\n## {parser.prog}\n\n{' '.join(str(parser.description).split())}\n{_options(parser)}"


def _options(parser: argparse.ArgumentParser) -> str:
    actions = [action for action in parser._actions if action.option_strings and action.dest != "help"]  # noqa: SLF001
    rows = [f"| {_names(action)} | {_default(action)} | {_meaning(action)} |\n" for action in actions]
    return "\n| option | default | meaning |\n| --- | --- | --- |\n" + "".join(rows)


def _names(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if action.choices:
        value = "|".join(map(str, action.choices)).replace("|", "\\|")
    *others, last = action.option_strings
    return ", ".join(f"`{name}`" for name in (*others, f"{last} {value}".rstrip()))


def _default(action: argparse.Action) -> str:
    if action.required:
        return "*required*"
    return f"`{action.default}`" if isinstance(action.default, str) and action.nargs != 0 else ""


def _meaning(action: argparse.Action) -> str:
    text = re.sub(r" \(default %\(default\)s\)", "", action.help or "")
    return f"{text[:1].upper()}{text[1:]}."
