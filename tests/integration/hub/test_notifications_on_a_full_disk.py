"""Routing and delivery on a full or locked disk: notifications wait, nothing is lost, and nothing is sent twice."""

from __future__ import annotations

import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Silence
from metricat_hub.model.alerts import ActiveAlert
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.notify.delivery import Delivery, RetryPolicy
from metricat_hub.store.alert_history import EventQueue, open_sqlite
from metricat_hub.store.routing_state import RoutingState
from metricat_hub.use_cases.notifications import Notifications
from support.alert_history_contract import EVERYTHING, RETENTION
from support.notifications import ScriptedChannel, now, wait_until
from support.router import labels_of, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.store.alert_history.history import SqlHistory

ROUTE = "route: {receiver: default, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a filesystem of 4 MiB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", tmp_path], check=False).returncode:
        pytest.skip("mounting a filesystem requires root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)  # a failed test may have open files


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def notified(history: SqlHistory) -> int:
    return sum(one.event.kind == "notified" for one in history.timeline(EVERYTHING, None, 1_000))


def test_full_disk_delays_notifications_and_loses_none(small_disk: Path) -> None:
    channel = ScriptedChannel()
    history = open_sqlite(small_disk, RETENTION)
    log = EventQueue(history, is_direct=True)
    delivery = Delivery(small_disk, now, log=log, policy=RetryPolicy(first=0.01, most=0.02))
    delivery.configure({"default": {"webhook-1": channel}})
    delivery.start()
    saved = RoutingState(small_disk)
    routing = Notifications(saved, delivery, log)
    routing.configure(plan_of(ROUTE))
    alerts: list[ActiveAlert] = []
    at = now()

    def fire(name: str) -> None:
        nonlocal at
        at += 2_000
        texts = {"description": "x" * 20_000}
        alerts.append(ActiveAlert(labels_of(name), texts, 1.0, at, at))
        for _ in range(3):
            at += 2_000
            routing.step(lambda: list(alerts), at, evaluated=True)

    fire("Before")
    channel.wait(1)
    fill(small_disk / "filler")
    names = [f"During{number}" for number in range(10)]
    for name in names:
        fire(name)
    assert "disk is full" in routing.problem
    silence = Silence("", parse(["node=a"]), at, at + 3_600_000, "kim", "x" * 1_000_000)
    with pytest.raises(StoreUnavailableError, match="Free space on the disk"):
        routing.add_silence(silence, at)
    assert routing.silences() == []
    (small_disk / "filler").unlink()
    fire("After")
    wait_until(lambda: len(channel.messages) >= 12 and not delivery.waiting())
    sent = [dict(one.labels)["alertname"] for message in channel.messages for one in message.notification.alerts]
    assert sorted(sent) == sorted(["Before", *names, "After"])
    assert routing.problem == ""
    wait_until(lambda: notified(history) == 12)  # a sent notification waits until its result is stored
    delivery.close()
    log.close()
    assert notified(history) == 12
    saved.close()
    history.close()


def test_locked_file_delays_notifications(tmp_path: Path) -> None:
    channel = ScriptedChannel()
    delivery = Delivery(tmp_path, now)
    delivery.configure({"default": {"webhook-1": channel}})
    delivery.start()
    saved = RoutingState(tmp_path)
    routing = Notifications(saved, delivery, None)
    routing.configure(plan_of(ROUTE))
    at = now()
    alerts = [ActiveAlert(labels_of("High"), {}, 1.0, at, at)]
    other = sqlite3.connect(tmp_path / "notifications.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(2):
        at += 2_000
        routing.step(lambda: alerts, at, evaluated=True)
    assert "database is locked" in routing.problem
    other.execute("ROLLBACK")
    other.close()
    routing.step(lambda: alerts, at + 2_000, evaluated=False)
    channel.wait(1)
    wait_until(lambda: not delivery.waiting())
    assert (len(channel.messages), routing.problem) == (1, "")
    delivery.close()
    saved.close()
