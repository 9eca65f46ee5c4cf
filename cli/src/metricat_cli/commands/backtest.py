"""`metricat backtest`: report when a MonitoringTarget's alerts would have fired."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_cli import arguments, backtest, report
from metricat_cli.errors import ArgumentError, CommandError
from metricat_cli.prometheus import PrometheusClient

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name

_DESCRIPTION = """\
Report how often each alert of a MonitoringTarget would have fired, on which nodes and for how long. The alerts have
the settings of the file, and Prometheus provides the history. The command changes nothing in the cluster."""


def add_parser(commands: "Subparsers") -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "backtest", help="report when a MonitoringTarget's alerts would have fired", description=_DESCRIPTION
    )
    parser.set_defaults(run=run)
    parser.add_argument("-f", "--file", type=Path, required=True, help="YAML file with the MonitoringTarget")
    parser.add_argument(
        "-n",
        "--namespace",
        default="default",
        help="namespace of the target if the file sets none (default %(default)s)",
    )
    parser.add_argument(
        "--prometheus",
        type=arguments.url,
        required=True,
        metavar="URL",
        help="base URL of Prometheus, for example http://localhost:9090",
    )
    parser.add_argument(
        "--header",
        type=arguments.header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="HTTP header of every request to Prometheus; repeat the option for more headers",
    )
    parser.add_argument(
        "--since",
        type=arguments.duration,
        default="7d",
        metavar="DURATION",
        help="how far to look back, for example 12h (default %(default)s)",
    )
    parser.add_argument(
        "--step",
        type=arguments.duration,
        default="30s",
        metavar="DURATION",
        help="evaluation interval of Prometheus (default %(default)s)",
    )
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="output format (default %(default)s)"
    )


def run(chosen: argparse.Namespace) -> str:
    """Return the report.

    Raises:
        ArgumentError: two arguments conflict.
        CommandError: the file is not usable, Prometheus does not respond, or it has no history of the target.
    """
    if chosen.step > chosen.since:
        raise ArgumentError("--step is longer than --since. Use a shorter step, for example 30s")
    names = [name.lower() for name, _ in chosen.header]
    if twice := [name for at, name in enumerate(names) if name in names[:at]]:
        raise ArgumentError(f"--header: {twice[0]} is given twice. Remove one of them")
    target = backtest.read(chosen.file, chosen.step, chosen.namespace)
    prometheus = PrometheusClient(chosen.prometheus, dict(chosen.header))
    end = float(int(time.time() / chosen.step) * chosen.step)
    start = end - chosen.since
    first = backtest.begins(prometheus, target, start, end, max(chosen.step, chosen.since / 2000))
    if first is None:
        raise CommandError(
            f"{chosen.prometheus} has no history of MonitoringTarget {target.namespace}/{target.name} "
            f"in the last {report.format_duration(chosen.since)}. Check that the target exists with this name and that "
            f"Prometheus has loaded its rules: kubectl get mtarget -n {target.namespace} {target.name}"
        )
    found = {rule: backtest.firings(prometheus, rule, first, end) for rule in target.rules}
    if chosen.output == "json":
        return report.to_json(found)
    period = f"{report.format_duration(end - first)} until {report.format_time(end)} UTC"
    head = [f"MonitoringTarget {target.namespace}/{target.name}: {period}"]
    if first - start > chosen.since / 1000:
        head.append(f"History starts at {report.format_time(first)} UTC.")
    return "\n".join([*head, "", report.table(found)])
