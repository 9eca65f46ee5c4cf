"""Alerts from the series of a Prometheus: their periods, and what the history gets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.alerts import AlertEvent, fingerprint
from metricat_hub.model.labels import from_mapping
from metricat_hub.store.alert_history import SqlHistory, open_sqlite
from metricat_hub.use_cases.alert_series import FILLED, fill, periods
from metricat_hub.use_cases.alertmanager import SOURCE
from metricat_hub.use_cases.prometheus_alerts import parse
from support.alert_history_contract import EVERYTHING, RETENTION
from support.hub_store import BEGIN, HOUR, MINUTE, SECOND
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.model.alert_history import Episode

STEP = 30 * SECOND
NOW = BEGIN + 20 * HOUR
LABELS = {"alertname": "High", "node": "a"}
SENT = from_mapping({**LABELS, "cluster": "one"})
CONFIG = parse(
    {
        "global": {"external_labels": {"cluster": "one", "node": "-", "prometheus_replica": "r0"}},
        "alerting": {
            "alert_relabel_configs": [
                {"action": "labeldrop", "regex": "prometheus_replica"},
                {"action": "drop", "source_labels": ["alertname"], "regex": "Watchdog"},
            ]
        },
    }
)


def firing(reader: MemoryReader, first: int, last: int, active: int | None = None, **labels: str) -> None:
    """Add the samples of an alert that fires at each evaluation from first to last."""
    own = {**LABELS, **labels}
    times = range(first, last + 1, STEP)
    reader.add({"__name__": "ALERTS", "alertstate": "firing", **own}, [(at, 1.0) for at in times])
    since = (first if active is None else active) / 1000
    reader.add({"__name__": "ALERTS_FOR_STATE", **own}, [(at, since) for at in times])


@pytest.fixture
def history(tmp_path: Path) -> Iterator[SqlHistory]:
    history = open_sqlite(tmp_path, RETENTION)
    yield history
    history.close()


def filled(history: SqlHistory, reader: MemoryReader, *, with_firing: bool = True) -> list[Episode]:
    """Fill the history twice, and return its episodes, the oldest first."""
    for _ in range(2):
        fill(history, reader, CONFIG.labels, BEGIN, NOW, with_firing=with_firing)
    return list(reversed(history.episodes(EVERYTHING, None, 100)))


def reported(kind: str, at: int) -> AlertEvent:
    """Return an event as the webhook of Alertmanager makes it."""
    return AlertEvent(at, kind, fingerprint(SENT), SENT, details={"source": SOURCE})  # type: ignore[arg-type]


def test_value_of_the_start_separates_alerts() -> None:
    reader, first = MemoryReader(), BEGIN + HOUR
    firing(reader, first, first + 10 * MINUTE)
    firing(reader, first + 11 * MINUTE, first + 20 * MINUTE, active=first + 11 * MINUTE)
    # Prometheus itself did not run for ten minutes, and restored the alert.
    firing(reader, first + 30 * MINUTE, first + 40 * MINUTE, active=first + 11 * MINUTE)
    assert [(one.fired, one.ended) for one in periods(reader, BEGIN, NOW)] == [
        (first, first + 10 * MINUTE + STEP),
        (first + 11 * MINUTE, first + 40 * MINUTE + STEP),
    ]


def test_alert_that_lasts_over_several_selections_is_one_period() -> None:
    reader = MemoryReader()
    firing(reader, BEGIN + HOUR, BEGIN + 15 * HOUR)
    firing(reader, NOW - HOUR, NOW - STEP, node="b")
    assert [(one.fired, one.ended) for one in periods(reader, BEGIN, NOW)] == [
        (BEGIN + HOUR, BEGIN + 15 * HOUR + STEP),
        (NOW - HOUR, None),
    ]


def test_missed_alerts_are_recorded_once_with_the_labels_that_alertmanager_gets(history: SqlHistory) -> None:
    reader = MemoryReader()
    firing(reader, BEGIN + HOUR, BEGIN + 2 * HOUR)
    firing(reader, NOW - HOUR, NOW, node="b")
    firing(reader, BEGIN, NOW, alertname="Watchdog")
    ended, open_ = filled(history, reader)
    assert (ended.labels, ended.fired, ended.resolved) == (SENT, BEGIN + HOUR, BEGIN + 2 * HOUR + STEP)
    assert (open_.label("node"), open_.state) == ("b", "firing")
    assert {ended.source, open_.source} == {FILLED}
    assert len(history.timeline(EVERYTHING, None, 100)) == 3


def test_alert_that_still_fires_is_left_to_the_alertmanager(history: SqlHistory) -> None:
    reader = MemoryReader()
    firing(reader, NOW - HOUR, NOW)
    assert filled(history, reader, with_firing=False) == []


def test_alert_of_the_webhook_gets_its_end_and_no_second_episode(history: SqlHistory) -> None:
    reader = MemoryReader()
    history.record([reported("firing", BEGIN + HOUR)])
    firing(reader, BEGIN + HOUR, BEGIN + 2 * HOUR)
    [found] = filled(history, reader)
    assert (found.source, found.resolved) == (SOURCE, BEGIN + 2 * HOUR + STEP)
    # Alertmanager delivers the end later.
    history.record([reported("firing", BEGIN + HOUR), reported("resolved", BEGIN + 2 * HOUR + STEP)])
    assert history.episodes(EVERYTHING, None, 100) == [found]


def test_earlier_alert_does_not_change_the_one_that_the_webhook_reports_since(history: SqlHistory) -> None:
    reader = MemoryReader()
    history.record([reported("firing", BEGIN + 8 * HOUR)])
    firing(reader, BEGIN + HOUR, BEGIN + 2 * HOUR)
    firing(reader, BEGIN + 8 * HOUR, NOW, active=BEGIN + 8 * HOUR)
    earlier, current = filled(history, reader)
    assert (earlier.fired, earlier.resolved, earlier.source) == (BEGIN + HOUR, BEGIN + 2 * HOUR + STEP, FILLED)
    assert (current.fired, current.state, current.source) == (BEGIN + 8 * HOUR, "firing", SOURCE)


def test_start_before_the_first_sample_is_marked(history: SqlHistory) -> None:
    reader = MemoryReader()
    firing(reader, BEGIN - HOUR, BEGIN + HOUR)
    filled(history, reader)
    [_, first] = history.timeline(EVERYTHING, None, 100)
    assert first.event.details == {"source": FILLED, "reason": "the start was not observed"}
