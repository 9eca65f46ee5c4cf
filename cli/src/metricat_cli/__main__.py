"""`metricat` (and `kubectl metricat`): commands about Metricat at a terminal."""

import errno
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from io import TextIOWrapper
from pathlib import Path

from metricat_cli.commands import available, missing, summaries
from metricat_cli.errors import CommandError

PROGRAM = "metricat"
_HELP = ("-h", "--help")
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 1 if it failed, 2 for wrong arguments."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _set_encodings()
    try:
        status = _run(given)
        if sys.stdout:
            sys.stdout.flush()
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)  # noqa: T201 -- the command's error
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe ended, for example `head`
        _discard_output()
        return 141
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        _discard_output()
        print(f"{PROGRAM}: cannot write the output: {error.strerror}. Free some space", file=sys.stderr)  # noqa: T201 -- the command's error
        return 1
    return status


def _set_encodings() -> None:
    """Read UTF-8 in each locale, and replace characters that the encoding of the output lacks."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="strict")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _discard_output() -> None:
    """Redirect standard output to /dev/null: the interpreter flushes it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def program() -> str:
    """Return the program as the user calls it."""
    return "kubectl metricat" if Path(sys.argv[0]).name.startswith("kubectl-metricat") else PROGRAM


def help_text() -> str:
    """Return the help of the program, without importing a command."""
    found = summaries()
    width = max(map(len, found))
    return "\n".join(
        [
            f"usage: {program()} [-h] [--version] COMMAND ...",
            "",
            "Commands about Metricat, the monitoring of nodes.",
            "",
            "commands:",
            *(f"  {name.ljust(width)}  {summary}" for name, summary in found.items()),
            "",
            f"Run '{program()} COMMAND --help' for the options of a command.",
        ]
    )


def _run(given: Sequence[str]) -> int:
    name, rest = (given[0], list(given[1:])) if given else ("--help", [])
    if name in _HELP:
        print(help_text())  # noqa: T201 -- the command's output
        return 0
    if name in ("--version", "-V"):
        name, rest = "version", ["--client"]
    if name == "__complete":  # the shell's completion script
        from metricat_cli.completion import show  # noqa: PLC0415 -- only for completion

        show(rest)
        return 0
    if error := missing(name):
        raise error
    loaders = available()
    if name not in loaders:
        raise CommandError(_unknown(name, list(loaders)), 2)
    module = loaders[name]()
    if hasattr(module, "command"):
        from metricat_cli.typer_command import run  # noqa: PLC0415 -- Typer takes 0.1 s of CPU time
    else:
        from metricat_cli.argparse_command import run  # noqa: PLC0415 -- only for commands of other packages
    return run(module, name, rest, program())


def _unknown(name: str, known: Sequence[str]) -> str:
    if name.startswith("-"):
        option = name.partition("=")[0]
        return f"unknown option {option}. Write options after the command\nRun '{program()} --help' for usage."
    near = get_close_matches(name, known, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Run '{program()} --help' for the list."
    return f"unknown command {name!r}. {hint}"


if __name__ == "__main__":
    sys.exit(main())
