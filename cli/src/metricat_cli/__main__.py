"""`metricat` (and `kubectl metricat`): commands about Metricat at a terminal."""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import NoReturn

from metricat_cli.commands import available, missing
from metricat_cli.errors import CommandError

PROGRAM = "metricat"


class Parser(ArgumentParser):
    """A parser whose errors are one sentence, and the command that prints the help."""

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and the message.

        argparse writes "argument --since: " before a message. A message about a wrong value needs no such prefix.
        """
        text = re.sub(r"^argument \S+: (?=invalid )", "", message)
        self.exit(2, f"{PROGRAM}: {text}\nRun '{self.prog} --help' for usage.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if it failed, 2 for wrong arguments."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if given and (error := missing(given[0])):
            raise error
        parser = build_parser(given[:1])
        chosen, unknown = parser.parse_known_args(given)
        if unknown:
            _refuse(unknown, getattr(chosen, "parser", parser))
        if not hasattr(chosen, "run"):
            getattr(chosen, "parser", parser).print_help()
            return 0
        if output := chosen.run(chosen):
            print(output)  # noqa: T201 -- the command's output
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 -- the command's error
        return error.status
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser(only: Iterable[str] = ()) -> ArgumentParser:
    """Return the parser of the command line. If `only` names a command, the parser has no other one."""
    parser = Parser(prog=PROGRAM, description="Commands about Metricat, the monitoring of nodes.")
    parser.add_argument(
        "--version", action="version", help="print the version", version=f"{PROGRAM} {version('metricat-cli')}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    loaders = available()
    for name in [name for name in only if name in loaders] or loaders:
        loaders[name]().add_parser(commands)
        commands.choices[name].set_defaults(parser=commands.choices[name])
    return parser


def _refuse(unknown: Sequence[str], parser: ArgumentParser) -> NoReturn:
    """Exit with status 2. The message names the nearest option, and leaves out values, which may be secrets."""
    from difflib import get_close_matches  # noqa: PLC0415 -- needed only after a typing error

    given = unknown[0].partition("=")[0]
    [near] = get_close_matches(given, parser._option_string_actions, 1) or [""]  # noqa: SLF001 -- argparse has no list
    if near == given:
        parser.error(f"{given} belongs to {parser.prog}; write it before the subcommand")
    hint = f"; did you mean {near}?" if near else ""
    parser.error(f"unrecognized argument {given}{hint}")


if __name__ == "__main__":
    sys.exit(main())
