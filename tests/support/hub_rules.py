"""The hub's evaluation of a rule file on the series of promtool cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import yaml

from metricat_agent.config.yaml_text import read_file
from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.evaluate import Alert, Evaluator, RuleState, Surroundings
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from metricat_hub.promql.parser import parse
from metricat_hub.promql.prepared.columns import Column
from metricat_hub.promql.prepared.query import Preparation
from support.memory_reader import MemoryReader
from support.prepared_queries import ColumnReader
from support.promtool import labelled, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.nodes import Selector
    from metricat_hub.promql.prepared.query import Prepared
    from support.promtool import Case

_ENGINE = Engine(Limits())


@dataclass
class HubRules:
    """A rule file that is evaluated at an interval, in seconds, over series in memory."""

    file: Mapping[str, Any]
    folder: Path
    interval: int = 30
    reader: MemoryReader = field(default_factory=MemoryReader)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        path = self.folder / "hub-rules.yaml"
        path.write_text(yaml.safe_dump(dict(self.file)))
        self._groups = rule_file.parse(read_file(str(path)), str(path), self.interval * 1000)
        self._states: dict[tuple[str, int], RuleState] = {}
        self._preparation = Preparation()
        self._prepared: dict[str, Prepared | None] = {}

    def add(self, case: Case, sample_seconds: int) -> None:
        """Add the series of a case."""
        count = int(case.minutes * 60 / sample_seconds) + 1
        for series, values in case.series.items():
            samples = [(step * sample_seconds * 1000, written(values(step * sample_seconds))) for step in range(count)]
            self.reader.add(labels_of(labelled(series)), [(at, value) for at, value in samples if value is not None])

    def evaluate(self, seconds: int) -> list[Alert]:
        """Evaluate all rules once, and return the alerts that are pending or firing."""
        now = seconds * 1000
        found = []
        for group in self._groups:
            evaluator = Evaluator(group, now, self._query, Surroundings())
            for number, rule in enumerate(group.rules):
                key = (group.name, number)
                evaluation = evaluator.evaluate(rule, self._states.get(key, RuleState()))
                self.errors += [one for one in (evaluation.error, *evaluation.template_errors) if one]
                self._states[key] = evaluation.state
                for labels, value in evaluation.samples:
                    self.reader.add(labels, [(now, value)])
                found += [one for one in evaluation.state.alerts.values() if one.state.resolved is None]
        return found

    def _query(self, expression: str, at: int) -> list[tuple[Labels, float]]:
        if expression not in self._prepared:
            self._prepared[expression] = self._preparation.prepare(expression)
        prepared = self._prepared[expression]
        assert prepared
        with np.errstate(all="ignore"):
            result = prepared.evaluate(_ENGINE.begin(ColumnReader(self.reader), at))
        assert isinstance(result, Column)
        return list(zip(result.labels, result.values.tolist(), strict=True))


def labels_of(series: str) -> dict[str, str]:
    """Return the labels of a series in Prometheus' notation."""
    selector: Selector = parse(series)  # type: ignore[assignment] # a selector
    return {one.name: one.value for one in selector.matchers}
