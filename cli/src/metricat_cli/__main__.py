"""`metricat` (and `kubectl metricat`): what one asks of Metricat at a terminal."""

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from metricat_cli import backtest, report
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import Prometheus
from metricat_operator.durations import DurationError, prometheus_seconds


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 stands for what cannot be done, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(prog="metricat", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _backtest_arguments(
        commands.add_parser(
            "backtest",
            help="when a MonitoringTarget's alerts would have fired",
            description="Tells how often each alert of a MonitoringTarget, set as its file says, would have fired, on "
            "which nodes and for how long, by the history that a Prometheus has of it. Nothing is changed anywhere.",
        )
    )
    chosen = parser.parse_args(arguments)
    try:
        print(_backtest(chosen))  # noqa: T201 -- what it is for
    except CommandError as error:
        print(f"metricat: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _backtest_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--file", type=Path, required=True, help="a YAML file with the MonitoringTarget")
    parser.add_argument("-n", "--namespace", default="default", help="the target's, where the file names none")
    parser.add_argument(
        "--prometheus",
        type=_url,
        required=True,
        metavar="URL",
        help="its base URL, such as http://localhost:9090",
    )
    parser.add_argument(
        "--header",
        type=_header,
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="sent along; may be repeated",
    )
    parser.add_argument("--since", type=_duration, default="7d", help="how far to look back, such as 12h (%(default)s)")
    parser.add_argument("--step", type=_duration, default="30s", help="Prometheus' evaluation interval (%(default)s)")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="%(default)s by default")


def _backtest(chosen: argparse.Namespace) -> str:
    target = backtest.read(chosen.file, chosen.step, chosen.namespace)
    prometheus = Prometheus(chosen.prometheus, dict(chosen.header))
    end = float(int(time.time() / chosen.step) * chosen.step)
    start = end - chosen.since
    first = backtest.begins(prometheus, target, start, end, max(chosen.step, chosen.since / 2000))
    if first is None:
        raise CommandError(
            f"{chosen.prometheus} has recorded nothing of MonitoringTarget {target.namespace}/{target.name} "
            f"in the last {report.span(chosen.since)}: is it applied under this name, and are its rules loaded? "
            f"(kubectl get mtarget -n {target.namespace} {target.name})"
        )
    found = {rule: backtest.firings(prometheus, rule, first, end) for rule in target.rules}
    if chosen.output == "json":
        return report.document(found)
    head = [
        f"MonitoringTarget {target.namespace}/{target.name}: {report.span(end - first)} until {report.moment(end)} UTC"
    ]
    if first - start > chosen.since / 1000:
        head.append(f"There is no history of it before {report.moment(first)} UTC.")
    return "\n".join([*head, "", report.table(found)])


def _duration(text: str) -> float:
    try:
        seconds = prometheus_seconds(text)
    except DurationError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text!r} is zero; use for example 7d, 12h or 30s")
    return seconds


def _url(text: str) -> str:
    if not re.match(r"https?://[^/]", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no URL; write it like http://localhost:9090")
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError("a header is written like 'Authorization: Bearer ...'")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main())
