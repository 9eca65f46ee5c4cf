"""The rules of the hub on an embedded store with a simulated clock, which a test ends and opens again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import yaml

from metricat_agent.config.yaml_text import read_file
from metricat_hub.evaluation import rule_file
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.samples import Batch
from metricat_hub.promql.limits import Limits
from metricat_hub.store.alert_states import AlertStates
from metricat_hub.store.embedded import EmbeddedStore
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rules import Rules
from support.hub_rules import labels_of
from support.hub_store import BEGIN, Clock
from support.promtool import labelled, written

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from metricat_hub.evaluation.evaluate import Alert
    from metricat_hub.model.labels import Labels
    from support.promtool import Case, Values


START = BEGIN // 1000
"""The time of the first sample, in seconds since 1970-01-01 UTC."""


@dataclass
class StoredRules:
    """A rule file that the hub evaluates at an interval, in seconds, over the series of a case."""

    file: Mapping[str, Any]
    folder: Path
    interval: int
    case: Case
    errors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._path = self.folder / "hub-rules.yaml"
        self._path.write_text(yaml.safe_dump(dict(self.file)))
        self._clock = Clock(1000 * START)
        self._series: dict[Labels, Values] = {
            from_mapping(labels_of(labelled(series))): values for series, values in self.case.series.items()
        }
        self._former: list[AlertStates] = []
        self._open()

    def _open(self) -> None:
        self._store = EmbeddedStore.open(self.folder / "store", None, self._clock)
        self._states = AlertStates(self.folder)
        self._rules = Rules(Queries(self._store, Limits()), self._store, self._states)
        groups = rule_file.parse(read_file(str(self._path)), str(self._path), self.interval * 1000)
        self._rules.load(groups, self._clock.now)

    def restart(self) -> None:
        """Read the store and the saved states again, as a hub does after its process was killed."""
        self._store.close()
        self._former.append(self._states)  # not closed: a kill closes nothing
        self._open()

    def evaluate(self, seconds: int) -> list[Alert]:
        """Append the samples of a time after the start, evaluate all rules, and return the active alerts."""
        self._clock.now = now = (START + seconds) * 1000
        found = [(labels, written(values(seconds))) for labels, values in self._series.items()]
        samples = [(labels, value) for labels, value in found if value is not None]
        numbers = self._store.resolve([labels for labels, _ in samples])
        values = np.array([value for _, value in samples])
        appended = self._store.append(Batch(numbers, np.full(len(samples), now, np.int64), values))
        assert appended.accepted == len(samples), appended
        for status in self._rules.groups():
            self._rules.evaluate(status.group, now)
        self.errors |= {rule.error for status in self._rules.groups() for rule in status.rules if rule.error}
        return [one for one in self._rules.alerts() if one.state.resolved is None]

    def close(self) -> None:
        """Close all files."""
        self._store.close()
        for states in (*self._former, self._states):
            states.close()
