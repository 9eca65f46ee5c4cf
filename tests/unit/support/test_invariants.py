"""The invariants that the audit log shows: one writer, and no write without a reason."""

from datetime import UTC, datetime

import pytest

from metricat_tools.cluster.audit import AuditedRequest
from support.invariants import OPERATOR, overlapping_writes, unneeded_writes

CHILD, STATUS, TARGET = "apps/daemonsets", "metricat.dev/monitoringtargets/status", "metricat.dev/monitoringtargets"
FENCE = "metricat.dev/leaderfences"


def request(seconds: float, resource: str, name: str, *, user: str = OPERATOR, pod: str = "a") -> AuditedRequest:
    when = datetime.fromtimestamp(1_800_000_000 + seconds, UTC).isoformat(timespec="microseconds")
    return AuditedRequest(
        user=user,
        agent="",
        verb="patch",
        resource=resource,
        namespace="n",
        name=name,
        code=200,
        pod=pod,
        received=when,
        finished=when,
    )


FIRST, AGAIN = request(0, CHILD, "metricat-t"), request(100, CHILD, "metricat-t")


def test_second_write_of_an_object_without_a_change_is_unneeded() -> None:
    assert unneeded_writes([FIRST, AGAIN]) == [AGAIN]


@pytest.mark.parametrize(
    ("resource", "name"),
    [(CHILD, "metricat-t"), (TARGET, "t")],
)
def test_write_after_a_change_by_another_user_is_needed(resource: str, name: str) -> None:
    assert unneeded_writes([FIRST, request(50, resource, name, user="admin"), AGAIN]) == []


@pytest.mark.parametrize(
    ("resource", "name"),
    [(CHILD, "metricat-t2"), (TARGET, "t2"), ("nodes", "node"), ("services", "metricat-t")],
)
def test_change_of_another_object_does_not_justify_a_write(resource: str, name: str) -> None:
    assert unneeded_writes([FIRST, request(50, resource, name, user="admin"), AGAIN]) == [AGAIN]


def test_old_change_does_not_justify_a_write() -> None:
    assert unneeded_writes([request(-50, TARGET, "t", user="admin"), FIRST, AGAIN]) == [AGAIN]


def test_repeated_write_during_a_fault_is_needed() -> None:
    assert unneeded_writes([FIRST, AGAIN], [(1_800_000_050, 1_800_000_060)]) == []


def test_status_needs_a_changed_child_object_or_node() -> None:
    first, again = request(0, STATUS, "t"), request(100, STATUS, "t")
    assert unneeded_writes([first, again]) == [again]
    assert unneeded_writes([first, request(50, CHILD, "metricat-t"), again]) == []
    assert unneeded_writes([first, request(50, CHILD, "metricat-other"), again]) == [again]


def test_write_by_a_second_pod_overlaps_unless_it_took_the_fence() -> None:
    other = request(100, CHILD, "metricat-u", pod="b")
    assert overlapping_writes([FIRST, other]) == [other]
    assert overlapping_writes([FIRST, request(50, FENCE, "metricat", pod="b"), other]) == []
