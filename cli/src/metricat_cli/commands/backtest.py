"""`metricat backtest`: report when a MonitoringTarget's alerts would have fired."""

import time
from pathlib import Path
from typing import Annotated

import typer

from metricat_cli import arguments, backtest, options, report
from metricat_cli.errors import ArgumentError, CommandError
from metricat_cli.output import format_duration, format_time
from metricat_cli.prometheus import PrometheusClient


def command(
    *,
    file: Annotated[Path, typer.Option("-f", "--file", metavar="FILE", help="YAML file with the MonitoringTarget")],
    prometheus: Annotated[
        str,
        typer.Option(
            "--prometheus",
            metavar="URL",
            help="base URL of Prometheus, for example http://localhost:9090",
        ),
    ],
    namespace: Annotated[
        str,
        typer.Option("-n", "--namespace", metavar="NAME", help="namespace of the target if the file sets none"),
    ] = "default",
    header: options.Headers = None,
    http_config_file: options.HttpConfigFile = "",
    since: Annotated[
        str, typer.Option("--since", metavar="DURATION", help="length of the history to evaluate, for example 12h")
    ] = "7d",
    step: Annotated[str, typer.Option("--step", metavar="DURATION", help="evaluation interval of Prometheus")] = "30s",
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="table or json")] = "table",
) -> None:
    """Report how often each alert of a MonitoringTarget would have fired, on which nodes and for how long.

    The alerts have the settings of the file, and Prometheus provides the history. The command changes nothing in the
    cluster.
    """
    options.one_of("--output", output, "table", "json")
    lookback, every = arguments.duration(since), arguments.duration(step)
    if every > lookback:
        raise ArgumentError("--step is longer than --since. Use a shorter step, for example 30s")
    client = options.prometheus_client(prometheus, header, http_config_file)
    if client is None:
        raise ArgumentError("--prometheus is empty. Set the URL of Prometheus, for example http://localhost:9090")
    target = backtest.read(file, every, namespace)
    typer.echo(_report(target, client, lookback, every, output))


def _report(target: backtest.Target, prometheus: PrometheusClient, lookback: float, every: float, output: str) -> str:
    """Return the report.

    Raises:
        CommandError: Prometheus does not respond, or it has no history of the target.
    """
    end = float(int(time.time() / every) * every)
    start = end - lookback
    first = backtest.begins(prometheus, target, start, end, max(every, lookback / 2000))
    if first is None:
        raise CommandError(
            f"{prometheus.url} has no history of MonitoringTarget {target.namespace}/{target.name} "
            f"in the last {format_duration(lookback)}. Check that the target exists with this name and that "
            f"Prometheus has loaded its rules: kubectl get mtarget -n {target.namespace} {target.name}"
        )
    found = {rule: backtest.firings(prometheus, rule, first, end) for rule in target.rules}
    if output == "json":
        return report.to_json(found)
    period = f"{format_duration(end - first)} until {format_time(end)} UTC"
    head = [f"MonitoringTarget {target.namespace}/{target.name}: {period}"]
    if first - start > lookback / 1000:
        head.append(f"History starts at {format_time(first)} UTC.")
    return "\n".join([*head, "", report.table(found)])
