"""`metricat nodes`: list the nodes and their agents, the worst first."""

from dataclasses import asdict
from typing import Annotated

import typer

from metricat_cli import options, targets
from metricat_cli.cluster.api_server import namespaced
from metricat_cli.coverage import NodeCoverage, coverage
from metricat_cli.output import colored, structured, table_rows
from metricat_operator import naming

_AGENTS = ",".join(f"{key}={value}" for key, value in naming.AGENTS.items())
_SHOWN = 90
"""Characters of a message in the table."""


def command(
    *,
    uncovered: Annotated[bool, typer.Option("--uncovered", help="list only nodes without a ready agent")] = False,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FORMAT", help="table, wide, json or yaml")
    ] = "table",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """List all nodes with the MonitoringTarget, the pool and the state of their agent, the worst first.

    The command reads the nodes and the agents of the whole cluster. With `-o wide`, messages are not shortened.
    """
    options.one_of("--output", output, "table", "wide", "json", "yaml")
    api = options.cluster(kubeconfig, context, as_)
    known = targets.find(api)
    found = coverage(api.list(namespaced("v1", "nodes")), api.list(namespaced("v1", "pods"), _AGENTS), known)
    targets.note_deletions(known)
    if uncovered:
        found = [one for one in found if one.agent != "ready"]
    if output in ("json", "yaml"):
        typer.echo(structured([asdict(one) for one in found], output))
        return
    rows = [["NODE", "TARGET", "POOL", "AGENT", "REASON", "MESSAGE"]]
    rows += [_row(one, wide=output == "wide") for one in found]
    header, *lines = table_rows(rows)
    colors = ("red", "yellow", "dim", "")
    typer.echo(
        "\n".join([header, *(colored(line, colors[one.rank[0]]) for line, one in zip(lines, found, strict=True))])
    )
    ready = sum(one.agent == "ready" for one in found)
    typer.echo(f"\n{ready} of {len(found)} nodes have a ready agent.")


def _row(node: NodeCoverage, *, wide: bool) -> list[str]:
    message = node.message if wide or len(node.message) <= _SHOWN else f"{node.message[: _SHOWN - 4]} ..."
    return [node.node, node.target or "-", node.pool or "-", node.agent, node.reason or "-", message]
