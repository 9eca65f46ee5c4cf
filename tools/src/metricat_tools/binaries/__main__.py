"""`python -m metricat_tools binaries [list | ensure NAME...]`."""

import argparse
from collections.abc import Sequence

from metricat_tools.binaries.obtain import ensure, find, folder
from metricat_tools.binaries.table import PROGRAMS


def main(arguments: Sequence[str]) -> None:
    """List the pinned programs and their paths, or build some of them."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools binaries", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("list", help="list every program, its source and its path (the default)")
    make = commands.add_parser(
        "ensure", help="build or unpack these programs if they are missing, and print their paths"
    )
    make.add_argument("names", nargs="+", metavar="NAME", help=f"one of {', '.join(sorted(PROGRAMS))}, or `all`")
    chosen = parser.parse_args(arguments)
    if chosen.command == "ensure":
        for name, path in ensure(*(PROGRAMS if "all" in chosen.names else chosen.names)).items():
            print(f"{name:<28} {path}")
        return
    for program in PROGRAMS.values():
        version = folder(program.source).name.rpartition("-")[0]
        print(f"{program.name:<28} {version:<42} {find(program) or '(built on first use)'}")
