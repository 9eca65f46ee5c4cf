"""`metricat` (and `kubectl metricat`): commands about Metricat at a terminal."""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from metricat_cli.commands import COMMANDS
from metricat_cli.errors import CommandError

PROGRAM = "metricat"


class Parser(ArgumentParser):
    """A parser whose errors are one sentence, and the command that prints the help."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and the message.

        argparse writes "argument --since: " before a message. One about a wrong value needs no such prefix.
        """
        text = re.sub(r"^argument \S+: (?=invalid )", "", message)
        self.exit(2, f"{PROGRAM}: {text}\nRun '{self.prog} --help' for usage.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if it failed, 2 for wrong arguments."""
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    if not hasattr(chosen, "run"):
        parser.print_help()
        return 0
    try:
        print(chosen.run(chosen))  # noqa: T201 -- the command's output
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 -- the command's error
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> ArgumentParser:
    """Return the parser of the command line, with a subparser for each command."""
    parser = Parser(prog=PROGRAM, description="Commands about Metricat, the node monitoring for Kubernetes.")
    parser.add_argument(
        "--version", action="version", help="print the version", version=f"{PROGRAM} {version('metricat-cli')}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
