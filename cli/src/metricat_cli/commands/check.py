"""`metricat check`: check each link from the operator to the samples, with remedies."""

import time
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from metricat_cli import arguments, checks, options
from metricat_cli.checks import Check, State
from metricat_cli.checks.run import Scope
from metricat_cli.cluster import ApiServer
from metricat_cli.output import colored, encodable, structured
from metricat_cli.prometheus import PrometheusClient

_MARKS = {
    State.OK: ("✓", "+", "green"),
    State.WARNING: ("!", "!", "yellow"),
    State.FAILED: ("✗", "x", "red"),
    State.SKIPPED: ("-", "-", "dim"),
}
"""The mark of each result, the mark in ASCII, and the color."""
_PAUSE = 2.0
"""Seconds between two runs with --wait."""


def command(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of one MonitoringTarget")] = "",
    namespace: options.NamespaceOfName = "",
    all_namespaces: options.AllNamespaces = False,
    operator: Annotated[
        str, typer.Option("--operator", metavar="NAMESPACE/NAME", help="check only this operator and its targets")
    ] = "",
    wait: Annotated[
        str,
        typer.Option(
            "--wait",
            metavar="DURATION",
            help="repeat the checks until none fails, for at most this time, for example 2m",
        ),
    ] = "",
    no_target: Annotated[bool, typer.Option("--no-target", help="accept a cluster without a MonitoringTarget")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="text, json or yaml")] = "text",
    prometheus: options.Prometheus = "",
    header: options.Headers = None,
    http_config_file: options.HttpConfigFile = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Check each link of the monitoring: API server, operator, each MonitoringTarget, an agent, Prometheus.

    The exit status is 1 if a check fails. Below a failed check are its cause and a remedy. Without a
    name and a namespace, the command checks the targets of all namespaces.
    """
    options.one_of("--output", output, "text", "json", "yaml")
    end = time.monotonic() + (arguments.duration(wait) if wait else 0)
    if name:
        options.object_name("NAME", name)
    client = options.prometheus_client(prometheus, header, http_config_file)
    api = options.cluster(kubeconfig, context, as_)
    place = options.scope(api, namespace, everywhere=all_namespaces or not (name or namespace))
    scope = Scope(place, name, operator, require_target=not no_target)
    if output == "text" and not wait:
        found = list(_printed(checks.run(api, scope, client)))
    else:
        found = _repeated(api, scope, client, end)
        if output == "text":
            found = list(_printed(found))
        else:
            typer.echo(structured(_machine_readable(found), output))
    if output == "text":
        typer.echo(_verdict(found))
    if _failed(found):
        raise typer.Exit(1)


def _repeated(api: ApiServer, scope: Scope, prometheus: PrometheusClient | None, end: float) -> list[Check]:
    """Run all checks until none fails or the time is over; return the last results."""
    while True:
        found = list(checks.run(api, scope, prometheus))
        if not _failed(found) or time.monotonic() >= end:
            return found
        time.sleep(_PAUSE)


def _printed(found: Iterable[Check]) -> Iterable[Check]:
    """Print each check as soon as it has its result, and yield it."""
    section = ""
    for check in found:
        if check.section != section:
            section = check.section
            typer.echo(f"{section}\n{'-' * len(section)}")
        mark, ascii_mark, color = _MARKS[check.state]
        mark = mark if encodable(mark) else ascii_mark
        passed = check.state is State.OK
        detail = f" ({check.message})" if passed and check.message else ""
        typer.echo(f"{colored(mark, color)} {check.name}{colored(detail, 'dim')}")
        if not passed and check.message:
            typer.echo(f"    {check.message}")
        if check.remedy:
            typer.echo(f"    {colored('remedy:', 'bold')} {check.remedy}")
        yield check


def _failed(found: Iterable[Check]) -> list[Check]:
    return [check for check in found if check.state is State.FAILED]


def _verdict(found: list[Check]) -> str:
    failed = _failed(found)
    numbers = Counter(check.state for check in found)
    if numbers[State.OK] == len(found):
        return f"\nAll {len(found)} checks passed."
    if not failed:
        others = [(State.OK, "Passed"), (State.WARNING, "Warnings"), (State.SKIPPED, "Skipped")]
        return " ".join(["\nNo check failed.", *(f"{word}: {numbers[one]}." for one, word in others if numbers[one])])
    first = failed[0]
    return f"\n{len(failed)} of {len(found)} checks failed. First broken link: {first.section}: {first.name}."


def _machine_readable(found: list[Check]) -> dict[str, Any]:
    return {
        "passed": not _failed(found),
        "checks": [
            {
                "section": check.section,
                "name": check.name,
                "state": str(check.state),
                "message": check.message,
                "remedy": check.remedy,
            }
            for check in found
        ],
    }
