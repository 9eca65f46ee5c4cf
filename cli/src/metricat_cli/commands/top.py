"""`metricat top`: show the nodes or processes with the highest usage, from scrapes of the agents."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from metricat_cli import agents, arguments, options, pod_names, targets
from metricat_cli.agents import Agent
from metricat_cli.cluster import ApiServer
from metricat_cli.errors import CommandError
from metricat_cli.output import colored, format_bytes, structured, table
from metricat_cli.usage import COLLECTORS, NodeUsage, Page, ProcessUsage, node_usage, processes

_AGENT_SECONDS = 10.0
"""Time limit of one scrape."""
_WHAT = ("nodes", "processes")
_PROCESSES = 20


@dataclass(frozen=True)
class NoResponse:
    """A node whose agent returned no samples, and the reason."""

    node: str
    reason: str


@dataclass(frozen=True)
class Process:
    """A process of a node, with its pod if that is known."""

    node: str
    usage: ProcessUsage
    pod: str = ""
    """NAMESPACE/NAME, or the UID if the pods may not be listed; empty for a process of the node."""
    container: str = ""


@dataclass(frozen=True)
class Result:
    """The result of the scrapes: rows of usage, the nodes without samples, and the number of agents that responded."""

    rows: Sequence[Any]
    silent: Sequence[NoResponse] = field(default_factory=tuple)
    answered: int = 0
    unknown: str = ""
    """The reason why pods have no names; empty if they have."""


_NODE_ORDER: Mapping[str, Callable[[NodeUsage], float | None]] = {
    "cpu": lambda one: one.cpu_percent,
    "memory": lambda one: one.memory_percent,
    "load": lambda one: one.load1,
    "filesystem": lambda one: one.filesystem_percent,
    "disk": lambda one: _sum(one.disk_read_bytes_per_second, one.disk_written_bytes_per_second),
    "network": lambda one: _sum(one.network_receive_bytes_per_second, one.network_transmit_bytes_per_second),
}
_PROCESS_ORDER: Mapping[str, Callable[[ProcessUsage], float]] = {
    "cpu": lambda one: one.cpu,
    "memory": lambda one: one.memory_bytes,
    "threads": lambda one: one.threads,
}


def command(
    *,
    what: Annotated[str, typer.Argument(metavar="nodes|processes", help="what to show")] = "nodes",
    namespace: options.AnyNamespace = "",
    all_namespaces: options.AllNamespaces = False,
    node: Annotated[
        list[str] | None, typer.Option("--node", metavar="NAME", help="show only this node; may be given several times")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="nodes: cpu, memory, load, filesystem, disk, network or name; processes: cpu, memory or threads",
        ),
    ] = "cpu",
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="NUMBER", min=0, help="rows (default: all nodes, 20 processes; 0: all)"),
    ] = None,
    interval: Annotated[str, typer.Option("--interval", metavar="DURATION", help="time between two scrapes")] = "3s",
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="table, json or yaml")] = "table",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="show changes until Ctrl-C")] = False,
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Show the current usage of the nodes, or the processes with the highest usage, from scrapes of the agents.

    The command scrapes the agents through the proxy of the API server. The rates of nodes are those between two
    scrapes. Nodes whose agents do not respond are listed with the reason. Without a namespace, the command shows all
    namespaces.

    An agent exposes only the processes with the highest CPU usage and the highest memory usage of its node.
    """
    options.one_of("nodes or processes", what, *_WHAT)
    order = (*_NODE_ORDER, "name") if what == "nodes" else tuple(_PROCESS_ORDER)
    options.one_of("--sort", sort, *order)
    options.one_of("--output", output, "table", "json", "yaml")
    seconds = arguments.duration(interval)
    api = options.cluster(kubeconfig, context, as_, seconds=_AGENT_SECONDS)
    place = options.scope(api, namespace, everywhere=all_namespaces or not namespace)
    sampler = _Sampler(api, place, frozenset(node or ()), seconds)

    def render() -> str:
        if what == "nodes":
            found = _nodes(sampler, sort)
            shown = Result(_limited(found.rows, limit), found.silent, found.answered)
            return (
                _text(shown, _node_table(shown.rows)) if output == "table" else structured(_nodes_json(shown), output)
            )
        found = _processes(sampler, sort)
        shown = Result(
            _limited(found.rows, _PROCESSES if limit is None else limit), found.silent, found.answered, found.unknown
        )
        return (
            _text(shown, _process_table(shown.rows))
            if output == "table"
            else structured(_processes_json(shown), output)
        )

    if watch:
        options.watch(render, seconds)
    typer.echo(render())


class _Sampler:
    """Scrapes the agents, and keeps the last scrape of each for rates."""

    def __init__(self, api: ApiServer, namespace: str, nodes: frozenset[str], seconds: float) -> None:
        self.api = api
        self._namespace = namespace
        self._nodes = nodes
        self._seconds = seconds
        self._last: dict[Agent, Page | str] = {}

    def rates(self) -> tuple[dict[Agent, tuple[Page, Page]], list[NoResponse]]:
        """Return the last two scrapes of each agent, and the nodes without two."""
        found, silent = self._agents()
        if new := [agent for agent in found if not isinstance(self._last.get(agent), Page)]:
            self._last |= agents.scrape_all(self.api, new, COLLECTORS)
            time.sleep(self._seconds)
        pages = agents.scrape_all(self.api, found, COLLECTORS)
        before, self._last = self._last, pages
        pairs: dict[Agent, tuple[Page, Page]] = {}
        for agent, after in pages.items():
            earlier = before[agent]
            if isinstance(after, str):
                silent.append(NoResponse(agent.node, after))
            elif isinstance(earlier, str):
                pairs[agent] = (after, after)  # without rates
            else:
                pairs[agent] = (earlier, after)
        return pairs, self._checked(pairs, silent)

    def processes(self) -> tuple[dict[Agent, Page], list[NoResponse]]:
        """Return one scrape of the processes of each agent, and the nodes without one."""
        found, silent = self._agents()
        pages = agents.scrape_all(self.api, found, ["processes"])
        silent += [NoResponse(agent.node, page) for agent, page in pages.items() if isinstance(page, str)]
        good = {agent: page for agent, page in pages.items() if isinstance(page, Page)}
        return good, self._checked(good, silent)

    def _agents(self) -> tuple[list[Agent], list[NoResponse]]:
        """Return the running agents, and the nodes that lack one."""
        known = targets.find(self.api, self._namespace)
        if not known:
            text = targets.none_found(self._namespace)
            raise CommandError(f"{text[:1].lower()}{text[1:]} Run: {targets.CREATE}")
        running = agents.find(self.api, known)
        uncovered = [one for target in known for one in target.status.get("uncovered") or []]
        found = [one for one in running if not self._nodes or one.node in self._nodes]
        covered = {one.node for one in found}
        lacking = [
            NoResponse(one["node"], f"no ready agent: {one.get('reason', '')}: {one.get('message', '')}".strip(": "))
            for one in uncovered
            if one["node"] not in covered and (not self._nodes or one["node"] in self._nodes)
        ]
        missing = self._nodes - covered - {one.node for one in lacking}
        if missing:
            known_nodes = {one.node for one in running} | {one["node"] for one in uncovered}
            near = get_close_matches(min(missing), known_nodes, 1)
            hint = f"Did you mean {near[0]}?" if near else "Run: metricat nodes"
            raise CommandError(f"no agent runs on the node {min(missing)}. {hint}")
        return found, lacking

    def _checked(self, good: Mapping[Agent, object], silent: list[NoResponse]) -> list[NoResponse]:
        """Return the nodes without samples.

        Raises:
            CommandError: no agent returned samples.
        """
        ordered = sorted(silent, key=lambda one: one.node)
        if not good:
            first = f" {ordered[0].node}: {ordered[0].reason}" if ordered else " No agent runs"
            raise CommandError(f"no agent returned samples.{first.removesuffix('.')}. Run: metricat check")
        return ordered


def _nodes(sampler: _Sampler, sort: str) -> Result:
    """Return the usage of each node, in this order."""
    pairs, silent = sampler.rates()
    rows = [(agent.node, node_usage(before, after)) for agent, (before, after) in pairs.items()]
    rows.sort(key=lambda row: row[0])
    if sort != "name":
        rows.sort(key=lambda row: value if (value := _NODE_ORDER[sort](row[1])) is not None else -1.0, reverse=True)
    return Result(rows, silent, len(pairs))


def _processes(sampler: _Sampler, sort: str) -> Result:
    """Return the processes of all nodes, in this order."""
    pages, silent = sampler.processes()
    found = [(agent.node, one) for agent, page in pages.items() for one in processes(page)]
    names, unknown = pod_names.read(sampler.api) if any(one.pod_uid for _, one in found) else ({}, "")
    rows = [
        Process(node, one, names.get(one.pod_uid, one.pod_uid), names.get(one.container_id, "")) for node, one in found
    ]
    rows.sort(key=lambda row: _PROCESS_ORDER[sort](row.usage), reverse=True)
    return Result(rows, silent, len(pages), unknown)


def _limited(rows: Sequence[Any], limit: int | None) -> Sequence[Any]:
    return rows[:limit] if limit else rows


def _sum(*values: float | None) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) if known else None


def _text(result: Result, rows: list[list[str]]) -> str:
    lines = (
        [table(rows)] if len(rows) > 1 else ["The agents expose no processes. Enable spec.agent.collectors.processes."]
    )
    if result.silent:
        lines.append("")
        lines += [colored(f"{one.node}: {one.reason}", "yellow") for one in result.silent]
        lines.append(f"\n{result.answered} of {result.answered + len(result.silent)} agents returned samples.")
    if result.unknown:
        lines += ["", result.unknown]
    return "\n".join(lines)


def _node_table(rows: Sequence[tuple[str, NodeUsage]]) -> list[list[str]]:
    header = ["NODE", "CPU", "CPUS", "LOAD1", "MEMORY", "USED", "FULLEST", "MOUNTPOINT", "READ/s", "WRITTEN/s"]
    return [
        [*header, "RECEIVED/s", "SENT/s"],
        *(
            [
                node,
                _percent(one.cpu_percent),
                str(one.cpus or "-"),
                "-" if one.load1 is None else f"{one.load1:.2f}",
                _percent(one.memory_percent),
                _bytes(one.memory_used_bytes),
                _percent(one.filesystem_percent),
                one.filesystem or "-",
                _bytes(one.disk_read_bytes_per_second),
                _bytes(one.disk_written_bytes_per_second),
                _bytes(one.network_receive_bytes_per_second),
                _bytes(one.network_transmit_bytes_per_second),
            ]
            for node, one in rows
        ),
    ]


def _process_table(rows: Sequence[Process]) -> list[list[str]]:
    return [
        ["NODE", "PID", "PROCESS", "CPUS", "MEMORY", "THREADS", "POD", "CONTAINER"],
        *(
            [
                row.node,
                str(row.usage.pid),
                row.usage.name,
                f"{row.usage.cpu:.2f}",
                format_bytes(row.usage.memory_bytes),
                str(row.usage.threads),
                row.pod or "-",
                row.container or "-",
            ]
            for row in rows
        ),
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}%"


def _bytes(value: float | None) -> str:
    return "-" if value is None else format_bytes(value)


def _nodes_json(result: Result) -> dict[str, Any]:
    return {
        "nodes": [{"node": node, **_rounded(asdict(one))} for node, one in result.rows],
        "noResponse": [asdict(one) for one in result.silent],
    }


def _processes_json(result: Result) -> dict[str, Any]:
    return {
        "processes": [
            {"node": row.node, **_rounded(asdict(row.usage)), "pod": row.pod, "container": row.container}
            for row in result.rows
        ],
        "noResponse": [asdict(one) for one in result.silent],
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}
