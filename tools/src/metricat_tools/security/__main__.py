"""`python -m metricat_tools security scan | chart | audit | sbom | fuzz [PARSER...] [--seconds N]`."""

import argparse
from collections.abc import Sequence

from metricat_tools.security.audit import audit
from metricat_tools.security.chart import scan_chart
from metricat_tools.security.fuzz import fuzz
from metricat_tools.security.sbom import sbom
from metricat_tools.security.scan import scan

_CHECKS = {
    "scan": (scan, "report insecure calls"),
    "chart": (scan_chart, "check the rendered chart"),
    "audit": (audit, "report known vulnerabilities of the pinned packages"),
    "sbom": (sbom, "write the pinned packages of each image"),
}


def main(arguments: Sequence[str]) -> None:
    """Run the check that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools security", description=__doc__)
    checks = parser.add_subparsers(dest="check", required=True)
    for name, (_, text) in _CHECKS.items():
        checks.add_parser(name, help=text)
    fuzzing = checks.add_parser("fuzz", help="search for input that a parser does not handle")
    fuzzing.add_argument("parsers", nargs="*", help="default: all of tests/support/parsers.py")
    fuzzing.add_argument("--seconds", type=int, default=60, help="for each parser (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if chosen.check == "fuzz":
        fuzz(chosen.parsers, chosen.seconds)
    else:
        _CHECKS[chosen.check][0]()
