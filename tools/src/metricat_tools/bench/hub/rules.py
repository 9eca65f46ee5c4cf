"""The part `rules`: CPU time of one round (one evaluation of all shipped rules), for one node and for a hundred.

Prometheus evaluates the same rules over the same samples.
The store has samples of 15 minutes, and recorded series of a week. New samples arrive between two rounds.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.evaluation.shipped import shipped_groups
from metricat_hub.model.samples import Batch
from metricat_hub.promql.limits import Limits
from metricat_hub.store.alert_states import AlertStates
from metricat_hub.store.embedded import EmbeddedStore
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rules import Rules
from metricat_tools.bench.hub import data_set, pages, prometheus_rules
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from pathlib import Path

_SERIES, _STEP, _INTERVAL = 691, 10_000, 30_000
_GOALS = {1: 15, 100: 250}
"""Milliseconds of CPU time of a round, by the number of nodes."""
_SCRAPES = 90
_WEEK = 7 * 86_400_000
_HISTORIES = ((_INTERVAL, 6 * 3_600_000), (300_000, _WEEK + 3_600_000))
"""The step and the length of the history of recorded series: all of them for six hours, the baseline's for a week."""
_ROUNDS = 10
_PROMETHEUS_INTERVALS = {1: 1, 100: 5}
"""Seconds between two rounds of Prometheus, by the number of nodes."""


class _Nodes:
    """A store with nodes that are scraped at a simulated time, and their rules."""

    def __init__(self, folder: Path, page: pages.Page, nodes: int) -> None:
        random = np.random.default_rng(1)
        self.now = data_set.END
        self.store = EmbeddedStore.open(folder, clock=lambda: self.now)
        self.rules = Rules(Queries(self.store, Limits()), self.store, AlertStates(folder))
        self.rules.load(shipped_groups(_STEP, _INTERVAL), self.now)
        self.columns = np.array([_healthy(line, _SCRAPES + 3 * (_ROUNDS + 4), random) for line in page.lines]).T.copy()
        self._numbers = [self.store.resolve(data_set.labels(page, node)) for node in range(nodes)]
        up = [tuple(sorted({**data_set.own_labels(node), "__name__": "up"}.items())) for node in range(nodes)]
        self._up = self.store.resolve(up)
        self._scrapes = 0

    def scrape(self) -> None:
        """Append a page of each node."""
        values = self.columns[self._scrapes]
        self._scrapes += 1
        for at, numbers in enumerate(self._numbers):
            # Each target has its own place in the interval.
            moment = self.now - at * (_STEP // len(self._numbers))
            self.store.append(Batch(numbers, np.full(_SERIES, moment), values))
            self.store.append(Batch(self._up[at : at + 1], np.array([moment]), np.ones(1)))
        self.now += _STEP
        self.store.maintain()

    def evaluate(self) -> None:
        """Evaluate each group once."""
        for status in self.rules.groups():
            self.rules.evaluate(status.group, self.now - _STEP)

    def histories(self) -> list[prometheus_rules.History]:
        """Return the histories of recorded series."""
        found = []
        newest = Queries(self.store, Limits()).instant('{__name__=~"metricat:.+"}', self.now - _STEP, Cancellation(60))
        values = dict(zip(newest.labels, newest.values.tolist(), strict=True))
        for (step, length), name in zip(_HISTORIES, ("metricat-recording", "metricat-baseline"), strict=True):
            [status] = [one for one in self.rules.groups() if one.group.name == name]
            series = sorted({one for rule in status.rules for one in rule.state.series if one in values})
            found.append(prometheus_rules.History(step, length, series, np.array([values[one] for one in series])))
        return found

    def remember(self) -> None:
        """Give recorded series a history. Their last values repeat with small changes."""
        random = np.random.default_rng(2)
        for one in self.histories():
            numbers = self.store.resolve(one.series)
            times = np.arange(self.now - one.length, self.now - 10 * _STEP, one.step)
            for at, moment in enumerate(times.tolist()):
                values = one.at(random)
                self.store.append_any_age(Batch(numbers, np.full(len(numbers), moment), values))
                if at % 20 == 0:
                    self.store.maintain()
        self.store.maintain(pack_all=True)


def _healthy(line: pages.Line, count: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the values of a series while a node is not busy, so that few alerts are active."""
    if line.is_counter:
        share = 0.9 if 'mode="idle"' in line.text else 0.01
        per_scrape = share * _STEP / 1000 if "seconds" in line.name else 0.01
        return np.asarray(line.value + per_scrape * np.arange(count) * (not line.is_constant), np.float64)
    if line.name.startswith("node_load"):
        return random.uniform(0, 1, count)
    return np.full(count, line.value)


def measure(folder: Path) -> list[Figure]:
    """Return the CPU time of one evaluation of all shipped rules, for each number of nodes."""
    page = pages.parse(pages.read(), _SERIES)
    figures = []
    for nodes, goal in _GOALS.items():
        own, prometheus = (one * 1000 for one in _rounds(folder / str(nodes), page, nodes))
        name = f"{nodes} node{'s' * (nodes > 1)} x {_SERIES} series: CPU time of a round of all shipped rules"
        figures.append(Figure(name, f"{own:.0f} ms", f"{prometheus:.0f} ms", goal=f"{goal} ms", met=own <= goal))
    return figures


def _rounds(folder: Path, page: pages.Page, nodes: int) -> tuple[float, float]:
    """Return the CPU seconds of a round: the median of the hub's rounds, and the mean of those of Prometheus."""
    machines = _Nodes(folder, page, nodes)
    try:
        for _ in range(_SCRAPES):
            machines.scrape()
        for _ in range(3):
            machines.evaluate()
            machines.now += 1
        histories = machines.histories()
        machines.remember()
        taken = []
        for _ in range(_ROUNDS):
            for _ in range(_INTERVAL // _STEP):
                machines.scrape()
            begin = time.process_time()
            machines.evaluate()
            taken.append(time.process_time() - begin)
        groups = [one.group for one in machines.rules.groups()]
    finally:
        machines.store.close()
    prometheus = prometheus_rules.Rules(folder / "prometheus", page, machines.columns, nodes)
    return float(np.median(taken)), prometheus.round_seconds(groups, histories, _SCRAPES, _PROMETHEUS_INTERVALS[nodes])
