"""`python -m metricat_tools bench agent [--scrapes N]`."""

import argparse
from collections.abc import Sequence

from metricat_tools.bench import agent


def main(arguments: Sequence[str]) -> None:
    """Measure and print a table of ratios."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    against = commands.add_parser("agent", help="the agent against node_exporter: CPU, latency, memory, bytes")
    against.add_argument("--scrapes", type=int, default=1000, help="scrapes that are measured (%(default)s)")
    against.add_argument("--growth", type=int, default=0, help="scrapes after that, to see memory grow (%(default)s)")
    against.add_argument("--all", action="store_true", help="every collector of each that is on by default")
    chosen = parser.parse_args(arguments)
    agent.bench(chosen.scrapes, chosen.growth, everything=chosen.all)
