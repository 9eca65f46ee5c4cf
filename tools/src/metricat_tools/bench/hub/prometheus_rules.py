"""The CPU time of a round of all shipped rules in Prometheus, over the samples that the hub has.

Prometheus evaluates rules at the time of the machine. So it gets the samples by remote write, the last scrapes in real
time.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, NamedTuple

import cramjam
import numpy as np

from metricat_agent.push.series_encoder import SeriesEncoder
from metricat_hub.evaluation.rules import RecordingRule
from metricat_hub.model.labels import metric_name, text
from metricat_tools.bench.hub import data_set, programs
from metricat_tools.bench.hub.machine import cpu_seconds
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any, TypeAlias

    from metricat_hub.evaluation.rules import Group, Rule
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values
    from metricat_tools.bench.hub.pages import Page
    from metricat_tools.bench.hub.programs import Server

    Columns: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.float64]]

_STEP = 10_000
_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_WITHOUT, _WARM, _WITH = 30, 15, 60
"""Seconds: with samples only, with rules before the measurement, and of the measurement."""
_PAST = re.compile(r"([\w:]+)\{[^{}]*\}(?:\[| offset )")
"""The name of a metric whose older samples an expression reads."""
_ONE_BLOCK = ("--storage.tsdb.min-block-duration=15d", "--storage.tsdb.max-block-duration=15d")
"""Without compaction, whose CPU time is not that of rules. The head also accepts all of the history then."""


class History(NamedTuple):
    """The history of recorded series. Step and length are in milliseconds."""

    step: int
    length: int
    series: Sequence[Labels]
    values: Values
    """The newest values."""

    def at(self, random: np.random.Generator) -> Values:
        """Return the newest values with small changes, as those of a node that is not busy."""
        return self.values * (1 + random.normal(0, 0.001, len(self.values)))


class Rules:
    """A Prometheus with the samples of some nodes, and the rules of some groups."""

    def __init__(self, folder: Path, page: Page, columns: Columns, nodes: int) -> None:
        """Measure in a folder.

        Args:
            folder: a new folder.
            page: the page of each node.
            columns: a row of values of the page for each scrape.
            nodes: the number of nodes.
        """
        self._folder = folder
        self._page = page
        self._columns = columns
        self._encoders = [SeriesEncoder(data_set.own_labels(node)) for node in range(nodes)]
        self._scrapes = 0

    def round_seconds(
        self,
        groups: Sequence[Group],
        histories: Sequence[History],
        scrapes: int,
        interval: int,
    ) -> float:
        """Return the CPU seconds of a round.

        Args:
            groups: the groups of rules.
            histories: those of recorded series.
            scrapes: the number of scrapes before the first round.
            interval: seconds between two rounds.
        """
        arguments = ("--web.enable-remote-write-receiver", "--web.enable-lifecycle", *_ONE_BLOCK)
        with programs.prometheus(self._folder, {}, *arguments) as server:
            now = time.time_ns() // 1_000_000
            past = {name for group in groups for rule in group.rules for name in _PAST.findall(rule.expression)}
            _remember(server, histories, past, now)
            for at in range(scrapes, 0, -1):
                self._scrape(server, now - at * _STEP)
            idle = self._spend(server, _WITHOUT) / _WITHOUT
            self._load(server, groups, interval)
            self._spend(server, _WARM)
            began, before = time.monotonic(), _evaluations(server)
            spent = self._spend(server, _WITH)
            rounds = (_evaluations(server) - before) / sum(len(group.rules) for group in groups)
            _check(server)
            return (spent - idle * (time.monotonic() - began)) / rounds

    def _scrape(self, server: Server, at: int) -> None:
        body = self._page.text(self._columns[self._scrapes])
        self._scrapes += 1
        for encoder in self._encoders:
            _write(server, encoder, body, at)

    def _spend(self, server: Server, seconds: int) -> float:
        """Scrape for some seconds, and return the CPU seconds of Prometheus."""
        before = cpu_seconds(server.pid)
        begin = time.monotonic()
        for at in range(0, seconds, _STEP // 1000):
            time.sleep(max(0.0, begin + at - time.monotonic()))
            self._scrape(server, time.time_ns() // 1_000_000)
        time.sleep(max(0.0, begin + seconds - time.monotonic()))
        return cpu_seconds(server.pid) - before

    def _load(self, server: Server, groups: Sequence[Group], interval: int) -> None:
        written = [
            {"name": group.name, "interval": f"{interval}s", "rules": [_rule(one) for one in group.rules]}
            for group in groups
        ]
        (self._folder / "rules.json").write_text(json.dumps({"groups": written}))
        (self._folder / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.json"]}))
        server.post("/-/reload", b"")


def _rule(rule: Rule) -> dict[str, Any]:
    if isinstance(rule, RecordingRule):
        return {"record": rule.name, "expr": rule.expression, "labels": dict(rule.labels)}
    return {
        "alert": rule.name,
        "expr": rule.expression,
        "for": f"{round(rule.timing.hold)}ms",
        "keep_firing_for": f"{round(rule.timing.keep_firing)}ms",
        "labels": {name: one.source for name, one in rule.labels.items()},
        "annotations": {name: one.source for name, one in rule.annotations.items()},
    }


def _evaluations(server: Server) -> float:
    """Return the number of evaluations of rules since the start."""
    found = re.findall(r"^prometheus_rule_evaluations_total\S* (\S+)$", server.get("/metrics").decode(), re.MULTILINE)
    return sum(map(float, found))


def _check(server: Server) -> None:
    """Raise an error if Prometheus could not evaluate a rule."""
    groups = json.loads(server.get("/api/v1/rules"))["data"]["groups"]
    failed = [
        f"{rule['name']}: {rule['lastError']}" for one in groups for rule in one["rules"] if rule["health"] != "ok"
    ]
    if failed:
        raise ToolError(f"Prometheus cannot evaluate {len(failed)} rules. The first is {failed[0]}")


def _remember(server: Server, histories: Sequence[History], past: set[str], now: int) -> None:
    """Give recorded series the history that the hub has. Series whose older samples no rule reads have none."""
    random = np.random.default_rng(2)
    moments = []
    for history in histories:
        read = [place for place, one in enumerate(history.series) if metric_name(one) in past]
        own = History(history.step, history.length, [history.series[place] for place in read], history.values[read])
        encoder, names = SeriesEncoder({}), [text(one) for one in own.series]
        moments += [(at, own, names, encoder) for at in range(now - own.length, now - 10 * _STEP, own.step)]
    # In the order of time, because the encoder adds a series `up` to each page.
    for at, own, names, encoder in sorted(moments, key=lambda one: one[0]):
        values = own.at(random).tolist()
        page = "\n".join(f"{name} {value!r}" for name, value in zip(names, values, strict=True))
        _write(server, encoder, page.encode(), at)


def _write(server: Server, encoder: SeriesEncoder, page: bytes, at: int) -> None:
    for batch in encoder.encode(page, at):
        server.post("/api/v1/write", bytes(cramjam.snappy.compress_raw(batch.body)), _HEADERS)
