"""`metricat alerts`: list the firing alerts of the MonitoringTargets, with their descriptions."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from metricat_cli import options, pod_names, targets
from metricat_cli.cluster import ApiServer
from metricat_cli.errors import CommandError
from metricat_cli.output import colored, format_duration, note, parse_time, structured, table_rows
from metricat_cli.prometheus import PrometheusClient
from metricat_cli.prometheus_of_target import client
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming

_ORDER = {"critical": 0, "warning": 1, "info": 2}
_COLORS = {"critical": "red", "warning": "yellow"}
_WATCHDOG = "MetricatWatchdog"
"""An alert that always fires: it shows that alerts arrive."""
_UID = re.compile(r"\bpod ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})\b")
"""A pod by its UID. The UID of a static pod is a hash."""


def command(
    *,
    namespace: options.AnyNamespace = "",
    all_namespaces: options.AllNamespaces = False,
    pending: Annotated[bool, typer.Option("--pending", help="also list pending alerts, which do not fire yet")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="table, json or yaml")] = "table",
    prometheus: options.Prometheus = "",
    header: options.Headers = None,
    http_config_file: options.HttpConfigFile = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """List the alerts of the MonitoringTargets that fire now, the most severe first, with their descriptions.

    By default, the alerts come from each Prometheus of the targets, through the proxy of the API server. The command
    leaves out MetricatWatchdog. Without a namespace, the command lists the alerts of all namespaces.
    """
    options.one_of("--output", output, "table", "json", "yaml")
    own = options.prometheus_client(prometheus, header, http_config_file)
    api = options.cluster(kubeconfig, context, as_)
    place = options.scope(api, namespace, everywhere=all_namespaces or not namespace)
    found = targets.find(api, place)
    if not found:
        none = targets.none_found(place)
        raise CommandError(f"{none[:1].lower()}{none[1:]} Run: {targets.CREATE}")
    targets.note_deletions(found)
    alerts = _of_targets(_all(api, found, own), found, pending=pending)
    if output != "table":
        typer.echo(structured(alerts, output))
        return
    names, unknown = pod_names.read(api) if any(map(_UID.search, _descriptions(alerts))) else ({}, "")
    if unknown:
        note(unknown)
    typer.echo(text(alerts, api.time, names))


def _descriptions(alerts: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str((one.get("annotations") or {}).get("description", "")) for one in alerts]


def _all(api: ApiServer, found: list[ClusterTarget], own: PrometheusClient | None) -> list[Mapping[str, Any]]:
    """Return the active alerts of the Prometheus of the command line, otherwise of each Prometheus of the targets."""
    if own:
        return own.alerts()
    clients = {one.url: one for target in found if (one := client(api, [target]))}
    if not clients:
        raise CommandError(
            "no MonitoringTarget names a Prometheus with a URL. Run: metricat check, or set --prometheus"
        )
    return [alert for one in clients.values() for alert in one.alerts()]


def _of_targets(
    alerts: Iterable[Mapping[str, Any]], found: list[ClusterTarget], *, pending: bool
) -> list[dict[str, Any]]:
    """Return the alerts of these targets, the most severe first."""
    services = {(target.namespace, naming.child(target.name)) for target in found}
    states = {"firing", "pending"} if pending else {"firing"}
    chosen = {
        tuple(sorted(one["labels"].items())): dict(one)
        for one in alerts
        if one.get("state") in states
        and (one["labels"].get("namespace"), one["labels"].get("service")) in services
        and one["labels"].get("alertname") != _WATCHDOG
    }
    return sorted(chosen.values(), key=_rank)


def _rank(alert: Mapping[str, Any]) -> tuple[int, str, str]:
    labels = alert["labels"]
    return _ORDER.get(labels.get("severity", ""), 3), labels.get("node", ""), labels.get("alertname", "")


def text(alerts: list[dict[str, Any]], now: float, pods: Mapping[str, str]) -> str:
    """Return a table of the alerts with their descriptions, which list for example the top processes.

    Without kube-state-metrics, Prometheus knows only the UIDs of pods. `pods` has their names.
    """
    if not alerts:
        return "No alert fires."
    rows = [["SEVERITY", "ALERT", "NODE", "STATE", "SINCE"]]
    for alert in alerts:
        labels = alert["labels"]
        since = format_duration(max(0.0, now - parse_time(alert.get("activeAt", ""))))
        rows.append(
            [labels.get("severity", "-"), labels.get("alertname", ""), labels.get("node", "-"), alert["state"], since]
        )
    header, *lines = table_rows(rows)
    out = [header]
    for line, alert in zip(lines, alerts, strict=True):
        annotations = alert.get("annotations") or {}
        out.append(colored(line, _COLORS.get(alert["labels"].get("severity", ""), "")))
        out += [f"    {_named(annotations[key], pods)}" for key in ("description", "action") if annotations.get(key)]
    return "\n".join(out)


def _named(description: str, pods: Mapping[str, str]) -> str:
    return _UID.sub(lambda found: f"pod {pods.get(found[1], found[1])}", description)
