"""`python -m metricat_tools security scan`."""

import argparse
from collections.abc import Sequence

from metricat_tools.security.scan import scan

_COMMANDS = {"scan": scan}


def main(arguments: Sequence[str]) -> None:
    """Run one check."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools security", description=__doc__)
    parser.add_argument("check", choices=_COMMANDS)
    _COMMANDS[parser.parse_args(arguments).check]()
