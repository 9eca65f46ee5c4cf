"""Delivery of notifications: order, retries, restarts, dead letters, and results in the history."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.notify.delivery import Delivery, RetryPolicy, UnknownReceiverError
from metricat_hub.notify.outcome import DELIVERED, Outcome
from metricat_hub.notify.queue import NoDeliveryError
from support.notifications import ScriptedChannel, alert, notification, now, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from metricat_hub.model.alerts import AlertEvent
    from metricat_hub.notify.delivery import Channels

FAST = RetryPolicy(first=0.01, most=0.02)
FAILED, REJECTED = Outcome("failed", "status 503"), Outcome("rejected", "status 400: no")
LONG = RetryPolicy(first=10_000.0, most=10_000.0)
"""No second attempt during a test."""


class Log:
    """A history in memory, which can be out of order."""

    def __init__(self) -> None:
        self.events: list[AlertEvent] = []
        self.failures = 0

    def record(self, events: Sequence[AlertEvent]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the disk is full")
        self.events += events


@contextmanager
def delivering(
    folder: Path, channels: Channels, policy: RetryPolicy = FAST, log: Log | None = None
) -> Iterator[Delivery]:
    delivery = Delivery(folder, now, policy=policy, log=log)
    delivery.configure(channels)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.close()


def test_notification_reaches_each_channel_of_its_receiver(tmp_path: Path) -> None:
    mail, chat, other = ScriptedChannel(), ScriptedChannel(), ScriptedChannel()
    with delivering(tmp_path, {"ops": {"email-1": mail, "slack-1": chat}, "other": {"email-1": other}}) as delivery:
        delivery.enqueue([notification(receiver="ops")])
        mail.wait(1)
        chat.wait(1)
        wait_until(lambda: not delivery.waiting())
        assert (mail.identities, chat.identities, other.identities) == (["n-1"], ["n-1"], [])
        assert mail.messages[0].content.title == "[FIRING 1] NodeCPUUsageHigh on web-1 (critical)"


def test_notification_that_is_queued_twice_is_sent_once(tmp_path: Path) -> None:
    channel = ScriptedChannel()
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: not delivery.waiting())
        delivery.enqueue([notification(), notification(identity="n-2")])
        channel.wait(2)
        wait_until(lambda: not delivery.waiting())
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification(), notification(identity="n-3")])
        channel.wait(3)
        wait_until(lambda: not delivery.waiting())
    assert channel.identities == ["n-1", "n-2", "n-3"]


def test_unknown_receiver_is_an_error(tmp_path: Path) -> None:
    with delivering(tmp_path, {}) as delivery, pytest.raises(UnknownReceiverError, match="no receiver 'default'; add"):
        delivery.enqueue([notification()])


def test_failed_attempt_is_repeated_until_it_succeeds(tmp_path: Path) -> None:
    log = Log()
    channel = ScriptedChannel(FAILED, FAILED, DELIVERED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, log=log) as delivery:
        delivery.enqueue([notification(alert(), alert(node="web-2"))])
        channel.wait(3)
        wait_until(lambda: not delivery.waiting() and len(log.events) == 2)
        assert delivery.problems() == []
    assert [event.kind for event in log.events] == ["notified"] * 2
    assert {dict(event.labels)["node"] for event in log.events} == {"web-1", "web-2"}
    assert dict(log.events[0].details) == {
        "receiver": "default",
        "channel": "webhook-1",
        "outcome": "delivered",
        "attempts": "3",
        "error": "",
    }


def test_failing_channel_is_a_problem_until_it_works(tmp_path: Path) -> None:
    channel = ScriptedChannel(FAILED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, LONG) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(delivery.problems()))
        problem = "receiver default, channel webhook-1: status 503. The hub retries; check the receiver's settings"
        assert [one.startswith(problem) for one in delivery.problems()] == [True]
        [entry] = delivery.waiting()
        assert (entry.attempts, entry.error) == (1, "status 503")
        found = {one.name: one.value for one in delivery.samples()}
        assert found["metricat_hub_notifications_failed_attempts"] == 1
        assert found["metricat_hub_notifications_waiting"] == 1


def test_restart_continues_where_the_last_run_ended(tmp_path: Path) -> None:
    failing = ScriptedChannel(Outcome("failed", "status 503", progress="half"))
    with delivering(tmp_path, {"default": {"webhook-1": failing}}, LONG) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: any(one.attempts for one in delivery.waiting()))
    working = ScriptedChannel()
    delivery = Delivery(tmp_path, lambda: now() + 20_000_000, policy=LONG)  # after the wait
    delivery.configure({"default": {"webhook-1": working}})
    delivery.start()
    working.wait(1)
    wait_until(lambda: not delivery.waiting())
    delivery.close()
    assert working.messages[0].notification == failing.messages[0].notification
    assert working.messages[0].progress == "half"


def test_retry_after_is_honored(tmp_path: Path) -> None:
    channel = ScriptedChannel(Outcome("failed", "status 429", retry_after=1_000.0))
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: any(one.attempts for one in delivery.waiting()))
        [entry] = delivery.waiting()
        assert entry.due - entry.updated == 1_000_000


def test_messages_of_a_group_keep_their_order(tmp_path: Path) -> None:
    channel = ScriptedChannel(FAILED, FAILED, DELIVERED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification(), notification(alert(resolved=True), identity="n-2")])
        channel.wait(4)
        wait_until(lambda: not delivery.waiting())
    assert channel.identities == ["n-1", "n-1", "n-1", "n-2"]


def test_other_group_does_not_wait_for_a_failing_one(tmp_path: Path) -> None:
    channel = ScriptedChannel(FAILED, DELIVERED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, LONG) as delivery:
        delivery.enqueue([notification()])
        channel.wait(1)
        delivery.enqueue([notification(identity="n-2", group_key="another")])
        channel.wait(2)
        wait_until(lambda: len(delivery.waiting()) == 1)
    assert channel.identities == ["n-1", "n-2"]


def test_slow_receiver_costs_only_itself(tmp_path: Path) -> None:
    slow, quick = ScriptedChannel(), ScriptedChannel()
    slow.gate.clear()
    with delivering(tmp_path, {"slow": {"webhook-1": slow}, "quick": {"webhook-1": quick}}) as delivery:
        groups = [f"group {number}" for number in range(10)]
        delivery.enqueue([notification(identity=f"s-{one}", receiver="slow", group_key=one) for one in groups])
        slow.wait(2)
        delivery.enqueue([notification(identity=f"q-{one}", receiver="quick", group_key=one) for one in groups])
        quick.wait(10)
        assert len(slow.messages) == 2  # the limit of attempts at the same time
        slow.gate.set()
        slow.wait(10)


def test_rejected_message_becomes_a_dead_letter(tmp_path: Path) -> None:
    log = Log()
    channel = ScriptedChannel(REJECTED, DELIVERED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, log=log) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(delivery.dead_letters()))
        [dead] = delivery.dead_letters()
        assert (dead.title, dead.error) == ("[FIRING 1] NodeCPUUsageHigh on web-1 (critical)", "status 400: no")
        assert log.events[0].details["outcome"] == "failed"
        delivery.retry(dead.id)
        channel.wait(2)
        wait_until(lambda: not delivery.waiting() and not delivery.dead_letters())
    assert channel.identities == ["n-1", "n-1"]
    assert log.events[1].details["outcome"] == "delivered"


def test_message_that_is_too_old_becomes_a_dead_letter(tmp_path: Path) -> None:
    channel = ScriptedChannel(FAILED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, RetryPolicy(0.01, 0.02, most_age=1)) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(delivery.dead_letters()))
        [dead] = delivery.dead_letters()
        assert dead.error.startswith("status 503 (given up after ")


def test_dead_letters_are_deleted_and_retried_together(tmp_path: Path) -> None:
    channel = ScriptedChannel(REJECTED, REJECTED, REJECTED, DELIVERED)
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification(identity=f"n-{number}") for number in range(3)])
        wait_until(lambda: len(delivery.dead_letters()) == 3)
        newest = delivery.dead_letters()[0]
        assert [one.id for one in delivery.dead_letters(after=newest.id, most=1)] == [newest.id - 1]
        delivery.delete(newest.id)
        with pytest.raises(NoDeliveryError, match="no dead letter has the identifier"):
            delivery.delete(newest.id)
        assert delivery.retry_all() == 2
        channel.wait(5)
        wait_until(lambda: not delivery.waiting() and not delivery.dead_letters())


def test_message_of_a_removed_receiver_becomes_a_dead_letter(tmp_path: Path) -> None:
    with delivering(tmp_path, {"default": {"webhook-1": ScriptedChannel(FAILED)}}, LONG) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: any(one.attempts for one in delivery.waiting()))
    with delivering(tmp_path, {}) as delivery:
        delivery._pending[1].due = 0  # the wait is over
        delivery.configure({})
        wait_until(lambda: bool(delivery.dead_letters()))
        assert (
            delivery.dead_letters()[0].error
            == "the settings no longer have the channel webhook-1 of the receiver default"
        )


def test_result_is_recorded_after_the_history_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metricat_hub.notify.delivery._SETTLE_SECONDS", 0.01)
    log = Log()
    log.failures = 3
    channel = ScriptedChannel()
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, log=log) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(log.events))
        wait_until(lambda: not delivery.problems())
    assert len(channel.messages) == 1
    assert len(log.events) == 1


def test_result_that_the_last_run_could_not_record_is_recorded(tmp_path: Path) -> None:
    log = Log()
    log.failures = 1
    channel = ScriptedChannel()
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, log=log) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(delivery.problems()))
    with delivering(tmp_path, {"default": {"webhook-1": channel}}, log=log):
        wait_until(lambda: bool(log.events))
    assert len(channel.messages) == 1


def test_channel_without_resolved_messages_gets_firing_alerts_only(tmp_path: Path) -> None:
    channel, other = ScriptedChannel(sends_resolved=False), ScriptedChannel()
    with delivering(tmp_path, {"default": {"webhook-1": channel, "webhook-2": other}}) as delivery:
        delivery.enqueue(
            [
                notification(alert(resolved=True), identity="all resolved"),
                notification(alert(), alert(node="web-2", resolved=True), identity="one resolved"),
            ]
        )
        other.wait(2)
        channel.wait(1)
        wait_until(lambda: not delivery.waiting())
    assert channel.identities == ["one resolved"]
    assert len(channel.messages[0].notification.alerts) == 1


def test_error_contains_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    echo = Outcome("rejected", "no service at /T000/B000/sesame-open")
    channel = ScriptedChannel(echo, secrets=["sesame-open"])
    with delivering(tmp_path, {"default": {"webhook-1": channel}}) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: bool(delivery.dead_letters()))
        assert delivery.dead_letters()[0].error == "no service at /T000/B000/<secret>"
    assert "sesame-open" not in caplog.text


def test_test_message_reports_each_channel(tmp_path: Path) -> None:
    with delivering(
        tmp_path, {"default": {"email-1": ScriptedChannel(), "webhook-1": ScriptedChannel(REJECTED)}}
    ) as delivery:
        found = delivery.test(notification(reason="test"))
        assert [(one.channel, one.outcome.result) for one in found] == [
            ("email-1", "delivered"),
            ("webhook-1", "rejected"),
        ]
        assert not delivery.dead_letters()


def repeating() -> ScriptedChannel:
    channel = ScriptedChannel()
    channel.resend_seconds = 0.05
    return channel


def test_firing_alerts_are_sent_again_until_they_resolve(tmp_path: Path) -> None:
    channel = repeating()
    with delivering(tmp_path, {"default": {"alertmanager-1": channel}}) as delivery:
        delivery.enqueue([notification(alert(), alert(node="web-2"))])
        channel.wait(3)
        delivery.enqueue([notification(alert(resolved=True), alert(node="web-2", resolved=True), identity="n-2")])
        wait_until(lambda: channel.identities[-1] == "n-2" and not delivery.waiting())
        wait_until(lambda: delivery._queue.repeated("default", "alertmanager-1") == [])
    assert set(channel.identities) == {"n-1", "n-2"}


def test_alert_that_no_longer_fires_is_ended_without_a_notification(tmp_path: Path) -> None:
    channel = repeating()
    with delivering(tmp_path, {"default": {"alertmanager-1": channel}}) as delivery:
        delivery.resending.is_active = lambda one: dict(one.labels)["node"] == "web-2"
        delivery.enqueue([notification(alert(), alert(node="web-2"))])
        channel.wait(3)
        resent = [one.notification.alerts for one in channel.messages[1:]]
        assert [(dict(one.labels)["node"], one.resolved_at is None) for one in resent[0]] == [
            ("web-1", False),
            ("web-2", True),
        ]
        assert [dict(one.labels)["node"] for one in resent[1]] == ["web-2"]


def test_silenced_alert_is_not_sent_again_until_its_silence_ends(tmp_path: Path) -> None:
    channel, muted = repeating(), {"web-1"}
    with delivering(tmp_path, {"default": {"alertmanager-1": channel}}) as delivery:
        delivery.resending.is_muted = lambda one: dict(one.labels)["node"] in muted
        delivery.enqueue([notification(alert(), alert(node="web-2"))])
        channel.wait(4)
        resent = [[dict(one.labels)["node"] for one in message.notification.alerts] for message in channel.messages[1:]]
        assert resent == [["web-2"]] * len(resent)
        muted.clear()
        wait_until(lambda: len(channel.messages[-1].notification.alerts) == 2)


def test_damaged_notification_is_counted_and_delays_no_other(tmp_path: Path) -> None:
    channel = repeating()
    with delivering(tmp_path, {"default": {"alertmanager-1": channel}}) as delivery:
        delivery.enqueue([notification(), notification(alert(node="web-2"), identity="n-2", group_key="other")])
        channel.wait(2)
        wait_until(lambda: len(delivery._queue.repeated("default", "alertmanager-1")) == 2)
        with delivery._queue._file.transaction() as db:
            db.execute("UPDATE repeated SET body = x'00' WHERE group_key = 'other'")
        wait_until(lambda: len(delivery._queue.repeated("default", "alertmanager-1")) == 1)
        sent = len(channel.messages)
        channel.wait(sent + 2)
        found = {one.name: one.value for one in delivery.samples()}
        assert found["metricat_hub_notifications_damaged"] == 1


def test_damaged_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "notifications.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(
        StoreUnavailableError, match=r"notifications\.sqlite: file is not a database\. The file is damag"
    ):
        Delivery(tmp_path, now)


def test_alerts_are_sent_again_after_a_restart(tmp_path: Path) -> None:
    first, second = repeating(), repeating()
    with delivering(tmp_path, {"default": {"alertmanager-1": first}}) as delivery:
        delivery.enqueue([notification()])
        wait_until(lambda: not delivery.waiting())
    with delivering(tmp_path, {"default": {"alertmanager-1": second}}):
        second.wait(1)
    assert second.identities[0] == "n-1"
