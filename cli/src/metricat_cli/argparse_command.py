"""Run a command that another package adds with an argparse parser."""

import re
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from metricat_cli.errors import ArgumentError


class Parser(ArgumentParser):
    """A parser that reports an error as one sentence, with the command that prints the help."""

    def error(self, message: str) -> NoReturn:
        """Raise an error with status 2 and the message.

        argparse writes "argument --since: " before a message. A message about a wrong value needs no such prefix.
        """
        text = re.sub(r"^argument \S+: (?=invalid )", "", message)
        raise ArgumentError(f"{text}\nRun '{self.prog} --help' for usage.")


def parser(module: Any, name: str, program: str) -> ArgumentParser:
    """Return the argparse parser of a command that another package adds."""
    commands = Parser(prog=program).add_subparsers()
    module.add_parser(commands)
    found: ArgumentParser = commands.choices[name]
    found.set_defaults(parser=found)
    return found


def run(module: Any, name: str, arguments: Sequence[str], program: str) -> int:
    """Run the command and print the text that it returns; return the exit status."""
    whole = parser(module, name, program)
    try:
        chosen, unknown = whole.parse_known_args(arguments)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    if unknown:
        _refuse(unknown, getattr(chosen, "parser", whole))
    if not hasattr(chosen, "run"):
        getattr(chosen, "parser", whole).print_help()
        return 0
    if output := chosen.run(chosen):
        print(output)  # noqa: T201 -- the command's output
    return 0


def _refuse(unknown: Sequence[str], parser: ArgumentParser) -> NoReturn:
    """Raise an error with the nearest option, and without values, which may be secrets."""
    from difflib import get_close_matches  # noqa: PLC0415 -- needed only after a typing error

    given = unknown[0].partition("=")[0]
    [near] = get_close_matches(given, parser._option_string_actions, 1) or [""]  # noqa: SLF001 -- argparse has no list
    if near == given:
        parser.error(f"{given} belongs to {parser.prog}; write it before the subcommand")
    hint = f"; did you mean {near}?" if near else ""
    parser.error(f"unrecognized argument {given}{hint}")
