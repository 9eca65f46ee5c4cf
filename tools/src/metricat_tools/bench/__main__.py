"""`python -m metricat_tools bench`, with `agent`, `operator`, `alerts`, `store` or `hub`, and their options."""

import argparse
from collections.abc import Sequence

from metricat_tools.bench import agent, alerts, operator, store
from metricat_tools.bench.hub import command


def main(arguments: Sequence[str]) -> None:
    """Run a benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    against = commands.add_parser("agent", help="the agent against node_exporter: CPU, latency, memory, bytes")
    against.add_argument("--scrapes", type=int, default=1000, help="measured scrapes (default %(default)s)")
    against.add_argument(
        "--growth", type=int, default=0, help="further scrapes, which show memory growth (default %(default)s)"
    )
    which = against.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="run both programs with their defaults (the default)")
    which.add_argument(
        "--same-collectors",
        action="store_true",
        help="run only collectors that both have and that return series on any host, without metrics of the Go runtime",
    )
    simulated = commands.add_parser("operator", help="the operator on simulated clusters, against a minimal apply loop")
    simulated.add_argument(
        "--nodes", type=int, nargs="+", default=[1000, 5000], help="sizes of the clusters (default %(default)s)"
    )
    simulated.add_argument(
        "--targets", type=int, default=200, help="targets with five nodes each (default %(default)s)"
    )
    simulated.add_argument("--drifts", type=int, default=500, help="random edits and deletions (default %(default)s)")
    simulated.add_argument("--idle", type=float, default=600, help="seconds without changes (default %(default)s)")
    commands.add_parser("alerts", help="precision and recall of the predictive alerts, on series with known problems")
    embedded = commands.add_parser("store", help="the hub's embedded store: samples/s, bytes/sample, latency, memory")
    embedded.add_argument("--hours", type=int, default=26, help="simulated hours of raw samples (default %(default)s)")
    embedded.add_argument("--days", type=int, default=61, help="simulated days for the tier 1h (default %(default)s)")
    command.add_arguments(
        commands.add_parser("hub", help="the hub next to Prometheus and VictoriaMetrics: CPU, memory, files, latency")
    )
    chosen = parser.parse_args(arguments)
    if chosen.command == "agent":
        agent.bench(chosen.scrapes, chosen.growth, same_collectors=chosen.same_collectors)
    elif chosen.command == "alerts":
        alerts.bench()
    elif chosen.command == "store":
        store.bench(chosen.hours, chosen.days)
    elif chosen.command == "hub":
        command.bench(chosen)
    else:
        operator.bench(chosen.nodes, chosen.targets, chosen.drifts, chosen.idle)
