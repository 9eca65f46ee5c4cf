"""Evaluation of live values. A round has the values of all subscribed metrics at one time, for all clients.

See docs/design/0035-live-values.md.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_hub.model.errors import HubError, InvalidParameterError, QueryCanceledError
from metricat_hub.model.labels import NAME
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.cancellation import Cancellation

MOST_METRICS, MOST_NODES = 100, 1_000
"""The most metrics, and the most names of nodes, in one subscription."""
MOST_VALUES = 20_000
"""The most values of one subscription in one round, so that a message has about 1 MB."""
_MOST_NAMED_NODES = 200
"""The most nodes that a query selects by name. Above it, a query reads all nodes: a long regex costs more."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """The metrics and nodes to which a client subscribes."""

    metrics: tuple[str, ...]
    nodes: frozenset[str] | None = None
    """The names of the nodes; None: all nodes."""


def subscription(metrics: Iterable[str], nodes: Iterable[str] | None) -> Subscription:
    """Build a subscription; raise `InvalidParameterError` if it has no metric, or too many names."""
    names = tuple(dict.fromkeys(metrics))
    chosen = frozenset(nodes or ())
    if not 1 <= len(names) <= MOST_METRICS:
        raise InvalidParameterError("metrics", f"the list has {len(names)} names; send 1 to {MOST_METRICS}")
    if len(chosen) > MOST_NODES:
        raise InvalidParameterError(
            "nodes", f"the list has {len(chosen)} names; send at most {MOST_NODES}, or no list to receive all nodes"
        )
    return Subscription(names, chosen or None)


@dataclass(frozen=True)
class Table:
    """The values of one metric at one time, sorted by node and labels."""

    metric: str
    unit: str
    nodes: frozenset[str] | None
    """The nodes that the query read; None: all nodes."""
    labels: Sequence[Labels] = ()
    names: Sequence[str] = ()
    """The node of each value."""
    values: Sequence[float] = ()
    error: str = ""
    """Why the evaluation of the metric failed; empty: it succeeded."""

    def covers(self, nodes: frozenset[str] | None) -> bool:
        """Return whether the table has the values of all given nodes (None: of all nodes)."""
        return self.nodes is None or (nodes is not None and nodes <= self.nodes)

    @functools.cached_property
    def rows_by_node(self) -> Mapping[str, Sequence[int]]:
        """The positions of the values of each node."""
        found: dict[str, list[int]] = {}
        for position, name in enumerate(self.names):
            found.setdefault(name, []).append(position)
        return found

    @functools.cached_property
    def common(self) -> frozenset[tuple[str, str]]:
        """The labels that all values have, without the node and the metric name."""
        if not self.labels:
            return frozenset()
        shared = frozenset.intersection(*map(frozenset, self.labels))
        return frozenset(pair for pair in shared if pair[0] not in (NAME, "node"))

    def others(self, row: int) -> dict[str, str]:
        """Return the labels of a value except the node, the metric name and the common labels."""
        labels = self.labels[row]
        if len(labels) == len(self.common) + 1:  # the node only: most values are of this kind
            return {}
        return {
            pair[0]: pair[1] for pair in labels if pair not in self.common and pair[0] != NAME and pair[0] != "node"
        }

    def rows(self, nodes: frozenset[str] | None) -> Sequence[int]:
        """Return the positions of the values of the given nodes (None: of all nodes)."""
        if nodes is None:
            return range(len(self.values))
        return sorted(position for node in nodes for position in self.rows_by_node.get(node, ()))


@dataclass
class Round:
    """The values of all subscribed metrics at one time."""

    time: int
    """Milliseconds since 1970-01-01 UTC, a multiple of the interval."""
    number: int = 0
    """Consecutive number within the process; 0: a missed round, evaluated later from stored samples."""
    tables: dict[str, Table] = field(default_factory=dict)
    """The table of each metric by name."""
    encoded: dict[tuple[str, Subscription], bytes] = field(default_factory=dict)
    """Encoded data by format and subscription, shared by clients with equal subscriptions."""

    def covers(self, wanted: Subscription) -> bool:
        """Return whether the round has all metrics and nodes of a subscription."""
        return all(name in self.tables and self.tables[name].covers(wanted.nodes) for name in wanted.metrics)

    def selected(self, wanted: Subscription) -> Iterable[tuple[Table, Sequence[int]]]:
        """Yield the tables of a subscription with the positions of its values, within the limit of values."""
        total = 0
        for name in wanted.metrics:
            table = self.tables[name]
            rows = table.rows(wanted.nodes)
            if total + len(rows) > MOST_VALUES:
                why = f"the subscription has more than {MOST_VALUES} values; subscribe to fewer metrics or nodes"
                yield Table(name, table.unit, table.nodes, error=why), ()
                continue
            total += len(rows)
            yield table, rows


def evaluate(
    queries: QueryEngine,
    wanted: Mapping[str, frozenset[str] | None],
    at: int,
    interval: int,
    cancellation: Cancellation,
) -> dict[str, Table]:
    """Evaluate the metrics in `wanted`, each for its nodes (None: all nodes); return the values by metric name.

    If the evaluation of a metric fails, only its `Table` has an error.
    """
    found = {}
    for name, nodes in wanted.items():
        if nodes is not None and len(nodes) > _MOST_NAMED_NODES:
            nodes = None  # noqa: PLW2901 -- reads more than is wanted
        unit = metric_names.unit_of(name)
        try:
            metric = metric_names.metric(name, metric_names.matchers(nodes or ()), interval)
            result = queries.instant(metric.expression, at, cancellation)
            found[name] = _table(name, unit, nodes, zip(result.labels, result.values.tolist(), strict=True))
        except QueryCanceledError:
            raise
        except HubError as error:
            found[name] = Table(name, unit, nodes, error=str(error))
    return found


def replay(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
    queries: QueryEngine, wanted: Subscription, start: int, end: int, interval: int, cancellation: Cancellation
) -> list[Round]:
    """Evaluate the rounds from start to end (multiples of the interval) from stored samples.

    Raises:
        HubError: as `QueryEngine.range`.
    """
    rounds = {at: Round(at) for at in range(start, end + 1, interval)}
    for name in wanted.metrics:
        metric = metric_names.metric(name, metric_names.matchers(wanted.nodes or ()), interval)
        rows: dict[int, list[tuple[Labels, float]]] = {at: [] for at in rounds}
        for series in queries.range(metric.expression, start, end, interval, cancellation).series:
            for at, value in zip(series.times.tolist(), series.values.tolist(), strict=True):
                rows[at].append((series.labels, value))
        for at, one in rounds.items():
            one.tables[name] = _table(name, metric.unit, wanted.nodes, rows[at])
    return list(rounds.values())


def _table(name: str, unit: str, nodes: frozenset[str] | None, rows: Iterable[tuple[Labels, float]]) -> Table:
    ordered = sorted((_node(labels), labels, value) for labels, value in rows)
    names, labels, values = zip(*ordered, strict=True) if ordered else ((), (), ())
    return Table(name, unit, nodes, labels, names, values)


def _node(labels: Labels) -> str:
    for name, text in labels:
        if name == "node":
            return text
    return ""
