"""`metricat status`: show the MonitoringTargets of a cluster and the causes of their problems."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from metricat_cli import operators, options, targets
from metricat_cli.cluster import ApiServer
from metricat_cli.output import colored, format_duration, parse_time, structured, table_rows
from metricat_cli.targets import ClusterTarget
from metricat_operator.conditions import Condition, ConditionType

_SECONDS = 2.0
"""Time between two reads with --watch."""
_COLORS = {"True": "green", "False": "red", "Unknown": "yellow"}


def command(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="name of one MonitoringTarget")] = "",
    namespace: options.NamespaceOfName = "",
    all_namespaces: options.AllNamespaces = False,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="table, wide, json or yaml")
    ] = "table",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="show changes until Ctrl-C")] = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Show the MonitoringTargets: nodes, agents, scrapes, and the messages of conditions that are not True.

    Without a name and a namespace, the command shows all namespaces.
    """
    options.one_of("--output", output, "table", "wide", "json", "yaml")
    if name:
        options.object_name("NAME", name)
    api = options.cluster(kubeconfig, context, as_)
    everywhere = all_namespaces or not (name or namespace)
    place = options.scope(api, namespace, everywhere=everywhere)

    def render() -> str:
        found = targets.find(api, place, name)
        if not found and output in ("table", "wide"):
            return f"{targets.none_found(place)} Run: {targets.CREATE}"
        return _rendered(found, api, output)

    if watch:
        options.watch(render, _SECONDS)
    typer.echo(render())


def _rendered(found: Sequence[ClusterTarget], api: ApiServer, output: str) -> str:
    if output in ("json", "yaml"):
        return structured([summary(one, runs=_runs(api, one)) for one in found], output)
    return text(found, api, wide=output == "wide")


def _runs(api: ApiServer, target: ClusterTarget) -> bool | str:
    """Return whether the operator of the target runs, or the reason why that is unknown."""
    operator = str(target.status.get("operator") or "")
    return operators.runs(api, operator) if operator else ""


def summary(target: ClusterTarget, *, runs: bool | str) -> dict[str, Any]:
    """Return the state of a target as a dictionary, for output as JSON or YAML. `runs` is the result of `_runs`."""
    return {
        "namespace": target.namespace,
        "name": target.name,
        "current": target.current,
        "deleted": target.deleted,
        "operator": target.status.get("operator", ""),
        "operatorRuns": runs if isinstance(runs, bool) else None,
        "nodes": target.status.get("nodes") or {},
        "conditions": [
            {"type": str(one.type), "status": one.status, "reason": one.reason, "message": one.message}
            for one in target.conditions.values()
        ],
        "uncovered": target.status.get("uncovered") or [],
        "pools": target.status.get("pools") or [],
        "prometheuses": target.status.get("prometheuses") or [],
    }


def text(found: Sequence[ClusterTarget], api: ApiServer, *, wide: bool = False) -> str:
    """Return a table of the targets, and below it the conditions that do not hold."""
    header = ["NAMESPACE", "NAME", "NODES", "READY", "UNCOVERED", "SCRAPED", "ACCEPTED", "MONITORED", "AGE"]
    rows = [header + (["OPERATOR", "PROMETHEUS"] if wide else [])]
    rows += [_row(one, api, wide=wide) for one in found]
    lines = [colored(line, _color(line)) if place else line for place, line in enumerate(table_rows(rows))]
    for target in found:
        lines += _problems(target, runs=_runs(api, target))
    return "\n".join(lines)


def _color(line: str) -> str:
    return next((_COLORS[status] for status in ("False", "Unknown") if status in line.split()), "")


def _row(target: ClusterTarget, api: ApiServer, *, wide: bool) -> list[str]:
    nodes = target.status.get("nodes") or {}
    age = max(0.0, api.time - parse_time(target.created))
    row = [target.namespace, target.name]
    row += [str(nodes.get(key, "-")) for key in ("desired", "ready", "uncovered", "scraped")]
    row += [target.holds(ConditionType.ACCEPTED), target.holds(ConditionType.MONITORED), format_duration(age)]
    if wide:
        names = ",".join(f"{one['namespace']}/{one['name']}" for one in target.status.get("prometheuses") or [])
        row += [target.status.get("operator") or "-", names or "-"]
    return row


def _problems(target: ClusterTarget, *, runs: bool | str) -> list[str]:
    """Return the conditions of a target that do not hold, with reason and message."""
    if not target.conditions:
        none = "The operator has not written a status yet. Run: metricat check"
        return [f"\n{target}:", *(f"  {one}" for one in (colored(target.deletion, "red"), none) if one)]
    lines = [f"  {colored(_label(one), _COLORS[one.status])}: {one.message}" for one in not_holding(target)]
    if not target.current:
        lines.insert(0, "  The status describes an earlier spec.")
    if runs is False:
        operator = target.status["operator"]
        text = f"The operator {operator} does not run, so the status may be out of date. Run: metricat check"
        lines.insert(0, f"  {colored(text, 'red')}")
    if isinstance(runs, str) and runs:
        lines.insert(0, f"  The command cannot read whether the operator {target.status['operator']} runs: {runs}.")
    if target.deleted:
        lines.insert(0, f"  {colored(target.deletion, 'red')}")
    return [f"\n{target}:", *lines] if lines else []


def not_holding(target: ClusterTarget) -> list[Condition]:
    """Return the conditions whose status is not True, without those that summarize other conditions."""
    return [one for one in target.conditions.values() if one.holds is not True and not one.type.parts]


def _label(condition: Condition) -> str:
    return f"{condition.type}={condition.status} ({condition.reason})"
