"""Frequent changes of a status are written together. No target delays the status of another target."""

from metricat_operator.controller.status_throttle import StatusThrottle


def test_urgent_change_is_written_at_once_and_then_spaced() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", urgent=True) == 0
    now[0] += 1
    assert pace.wait("a", urgent=True) == 2
    assert pace.wait("b", urgent=True) == 0
    now[0] += 2
    assert pace.wait("a", urgent=True) == 0
    assert pace.wait("a", urgent=True) == 3


def test_numbers_are_written_after_a_delay() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", urgent=False) == 10
    now[0] += 9
    assert pace.wait("a", urgent=False) == 1
    pace.unchanged("a")
    now[0] += 4
    assert pace.wait("a", urgent=False) == 10
    now[0] += 10
    assert pace.wait("a", urgent=False) == 0
    now[0] += 1
    assert pace.wait("a", urgent=False) == 10


def test_urgent_write_includes_the_numbers() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", urgent=False) == 10
    now[0] += 1
    assert pace.wait("a", urgent=True) == 0
    now[0] += 9
    assert pace.wait("a", urgent=False) == 10


def test_delay_of_numbers_is_bounded_for_hundreds_of_targets() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    due = {str(target): now[0] for target in range(200)}
    written: dict[str, float] = {}
    while due:
        for target in [one for one in due if due[one] <= now[0]]:
            if wait := pace.wait(target, urgent=False):
                due[target] = now[0] + wait
            else:
                written[target] = now[0] - 100
                del due[target]
        now[0] += 1
    assert max(written.values()) <= 60


def test_numbers_of_many_targets_are_spread() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    for target in range(30):
        pace.wait(str(target), urgent=False)
    now[0] += 29
    assert pace.wait("0", urgent=False) == 1
    for target in range(1, 20):
        assert pace.wait(str(target), urgent=True) == 0
    assert pace.wait("0", urgent=False) == 0
