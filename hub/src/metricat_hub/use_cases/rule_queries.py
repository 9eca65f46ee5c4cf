"""The queries of a group of rules, prepared once, and evaluated in each round (evaluation of the group)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.evaluation.evaluate import ALERTS, ALERTS_FOR_STATE
from metricat_hub.evaluation.rules import RecordingRule
from metricat_hub.evaluation.samples import NO_SAMPLES, Samples
from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import metric_name
from metricat_hub.promql.prepared.columns import Column
from metricat_hub.promql.prepared.query import Preparation
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rule_round import RoundReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from metricat_hub.evaluation.rules import Rule
    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.prepared.query import Prepared
    from metricat_hub.promql.prepared.steps import Round, Value
    from metricat_hub.promql.query_engine import QueryEngine


class RoundQueries:
    """The queries of one group of rules. Only one thread at a time may use the object."""

    def __init__(self, queries: QueryEngine, rules: Sequence[Rule], seconds: float) -> None:
        """Prepare the queries of rules. `seconds` is the time limit of each query."""
        self._queries = queries
        self._cancellation = Cancellation(seconds)
        self._reader: RoundReader | None = None
        self._local: Queries | None = None
        self._prepared: dict[str, Prepared] = {}
        if isinstance(queries, Queries):
            self._reader = RoundReader(queries.reader)
            self._queries = self._local = queries.with_reader(self._reader)
            self._prepared = _prepared(rules)
        self._round: Round | None = None
        self._at = 0

    def begin(self, at: int) -> AbstractContextManager[object]:
        """Begin a round at a time. Evaluate its queries within the context."""
        self._at = at
        if self._reader is not None and self._local is not None:
            self._reader.begin(at)
            self._round = self._local.begin(at, self._cancellation)
        return np.errstate(all="ignore")

    def query(self, expression: str, at: int) -> Samples:
        """Return the series and values of an expression at a time in milliseconds; raise `HubError` if it fails."""
        self._cancellation.restart()
        prepared = self._prepared.get(expression)
        if prepared is not None and self._local is not None and self._round is not None and at == self._at:
            return _columns(self._local.evaluate(prepared, self._round))
        result = self._queries.instant(expression, at, self._cancellation)
        return Samples(_NO_LABELS if result.kind == "scalar" else tuple(result.labels), result.values)

    def record(self, rule: Rule, samples: Samples) -> None:
        """Add the samples of a rule to the queries of later rules."""
        if self._reader is None or self._round is None or not samples:
            return
        for name, own in [(rule.name, samples)] if isinstance(rule, RecordingRule) else _by_name(samples):
            self._reader.record(name, own)
            self._round.record(name)


def _prepared(rules: Sequence[Rule]) -> dict[str, Prepared]:
    """Return the queries that can be prepared. Each evaluation of another one raises its error."""
    preparation = Preparation({ALERTS, ALERTS_FOR_STATE, *(one.name for one in rules)})
    found = {}
    for rule in rules:
        try:
            prepared = preparation.prepare(rule.expression)
        except HubError:
            continue
        if prepared is not None:
            found[rule.expression] = prepared
    return found


def _columns(value: Value) -> Samples:
    if isinstance(value, Column):
        return Samples(value.labels, value.values)
    return NO_SAMPLES if isinstance(value, str) else Samples(_NO_LABELS, value)


_NO_LABELS: tuple[Labels, ...] = ((),)


def _by_name(samples: Samples) -> list[tuple[str, Samples]]:
    rows: dict[str, list[int]] = {}
    for row, labels in enumerate(samples.labels):
        rows.setdefault(metric_name(labels), []).append(row)
    return [
        (name, Samples(tuple(samples.labels[row] for row in own), samples.values[own])) for name, own in rows.items()
    ]
