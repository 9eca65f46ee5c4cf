"""A hub whose store has the last day of a small fleet, with one busy hour, and an alert of the last night."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from metricat_hub.model.alerts import AlertEvent, fingerprint
from metricat_hub.model.labels import from_mapping
from metricat_hub.store.alert_history import open_sqlite
from support.hub_process import HubProcess, running
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from metricat_hub.model.alerts import EventKind

POOLS: Final = {"db-1": "database", "db-2": "database", "web-1": "web", "web-2": "web", "web-3": "web"}
BUSY: Final = "db-2"
BUSY_MINUTES: Final = 40
BUSY_PERCENT: Final = 97
CAUSE: Final = "reindex"
ALERT: Final = "NodeMemoryUsageHigh"
ALERT_NODE: Final = "web-3"
PERSON: Final = "grace"

MINUTE: Final = 60_000
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
_HEADERS: Final = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


class DayOfAFleet:
    """A hub, and when its nodes were busy. Times are milliseconds since 1970."""

    def __init__(self, hub: HubProcess, end: int) -> None:
        self.hub = hub
        self.now = end
        self.busy_from = end - 7 * HOUR
        self.busy_to = self.busy_from + BUSY_MINUTES * MINUTE

    def push(self, start: int, end: int, step: int) -> None:
        """Send the samples of a period."""
        times = range(start, end + 1, step)
        self._send([one for node in POOLS for one in self._series(node, times)])

    def push_now(self) -> None:
        """Send samples of the present, so that views of the present are not empty on a slow machine."""
        now = _now()
        self.push(now, now, MINUTE)

    def push_without_labels(self, node: str) -> None:
        """Send a sample of a node that lacks the labels that the shipped rules select."""
        labels = {"__name__": "node_load1", "instance": node, "node": node}
        self._send([Sent(sorted(labels.items()), [(_now(), 1.0)])])

    def _send(self, series: list[Sent]) -> None:
        answer = self.hub.post("/api/v1/write", snappy(request_1(series)), _HEADERS)
        assert answer.status == 204, answer.body

    def is_busy(self, node: str, at: int) -> bool:
        return node == BUSY and self.busy_from <= at < self.busy_to

    def _series(self, node: str, times: range) -> Iterator[Sent]:
        common = {"node": node, "instance": node, "pool": POOLS[node], "namespace": "local", "service": "metricat"}
        phase = len(node) + 7 * list(POOLS).index(node)

        def series(name: str, value: Callable[[int], float], /, **labels: str) -> Sent:
            named = {**common, **labels, "__name__": name}
            return Sent(sorted(named.items()), [(at, value(at)) for at in times])

        def wave(at: int) -> float:
            return math.sin(2 * math.pi * at / DAY + phase) + math.sin(2 * math.pi * at / HOUR + 3 * phase) / 3

        def cpu(at: int) -> float:
            # The middle of the busy time is the peak.
            middle = (self.busy_from + self.busy_to) / 2
            return BUSY_PERCENT - abs(at - middle) / (10 * MINUTE) if self.is_busy(node, at) else 22 + 9 * wave(at)

        yield series("metricat:node_cpu_usage:percent", cpu)
        yield series("metricat:node_memory_usage:percent", lambda at: 55 + 3 * phase / 7 + 4 * wave(at))
        device = {"device": "/dev/sda1", "mountpoint": "/", "fstype": "ext4"}
        yield series("metricat:node_filesystem_usage:percent", lambda at: 40 + phase + at % DAY / HOUR / 10, **device)
        yield series("node_load1", lambda at: cpu(at) / 25)
        yield series("node_filesystem_size_bytes", lambda _: 2.0**36, **device)
        yield series("node_filesystem_avail_bytes", lambda _: 2.0**35, **device)
        yield series("metricat_process_cpu_ratio", lambda at: 0.4 + 0.1 * wave(at), name="postgres", pid="210")
        yield series("metricat_process_resident_memory_bytes", lambda _: 2.0**30, name="postgres", pid="210")
        yield series("metricat_process_cpu_ratio", lambda _: 0.02, name="node-agent", pid="99")
        if node == BUSY and (busy := [at for at in times if self.is_busy(node, at)]):
            labels = {**common, "name": CAUSE, "pid": "4711", "__name__": "metricat_process_cpu_ratio"}
            yield Sent(sorted(labels.items()), [(at, 3.1) for at in busy])


def _now() -> int:
    return time.time_ns() // 1_000_000


def _record_last_night(folder: Path, now: int) -> None:
    """Record an alert that fired 10 hours ago, and that a person acknowledged."""
    labels = from_mapping(
        {
            "alertname": ALERT,
            "node": ALERT_NODE,
            "pool": POOLS[ALERT_NODE],
            "severity": "warning",
            "resource": "memory",
            "namespace": "local",
            "service": "metricat",
        }
    )
    start = now - 10 * HOUR
    note = {"summary": f"Memory usage on {ALERT_NODE} is high"}

    def event(kind: EventKind, after: int, actor: str = "", **details: str) -> AlertEvent:
        return AlertEvent(
            start + after, kind, fingerprint(labels), labels, note, 91.5, start, actor=actor, details=details
        )

    history = open_sqlite(folder, 365 * DAY)
    history.record(
        [
            event("pending", 0),
            event("firing", 5 * MINUTE),
            event("notified", 6 * MINUTE, receiver="on-call", channel="email", outcome="delivered", attempts="1"),
            event("acknowledged", 11 * MINUTE, PERSON, comment="A cache grows. I restart it."),
            event("resolved", 40 * MINUTE),
        ]
    )
    history.close()


@contextmanager
def day_of_a_fleet(folder: Path, *options: str) -> Iterator[DayOfAFleet]:
    """Run a hub with the day until now."""
    now = _now()
    folder.mkdir(parents=True, exist_ok=True)
    _record_last_night(folder, now)
    with running(folder, *options) as hub:
        found = DayOfAFleet(hub, now)
        found.push(now - DAY, now, MINUTE)
        yield found
