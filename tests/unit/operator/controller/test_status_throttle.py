"""What happens often is done together, and none waits for another."""

from metricat_operator.controller.status_throttle import StatusThrottle


def test_what_presses_is_written_at_once_and_then_apart() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", pressing=True) == 0
    now[0] += 1
    assert pace.wait("a", pressing=True) == 2
    assert pace.wait("b", pressing=True) == 0
    now[0] += 2
    assert pace.wait("a", pressing=True) == 0
    assert pace.wait("a", pressing=True) == 3


def test_numbers_have_to_stand_first() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", pressing=False) == 10
    now[0] += 9
    assert pace.wait("a", pressing=False) == 1
    pace.same("a")
    now[0] += 4
    assert pace.wait("a", pressing=False) == 10
    now[0] += 10
    assert pace.wait("a", pressing=False) == 0
    now[0] += 1
    assert pace.wait("a", pressing=False) == 10


def test_what_presses_takes_the_numbers_along() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    assert pace.wait("a", pressing=False) == 10
    now[0] += 1
    assert pace.wait("a", pressing=True) == 0
    now[0] += 9
    assert pace.wait("a", pressing=False) == 10


def test_none_of_hundreds_waits_for_ever() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    due = {str(target): now[0] for target in range(200)}
    written: dict[str, float] = {}
    while due:
        for target in [one for one in due if due[one] <= now[0]]:
            if wait := pace.wait(target, pressing=False):
                due[target] = now[0] + wait
            else:
                written[target] = now[0] - 100
                del due[target]
        now[0] += 1
    assert max(written.values()) <= 60


def test_the_numbers_of_many_wait_for_one_another() -> None:
    now = [100.0]
    pace = StatusThrottle(clock=lambda: now[0])
    for target in range(30):
        pace.wait(str(target), pressing=False)
    now[0] += 29
    assert pace.wait("0", pressing=False) == 1
    for target in range(1, 20):
        assert pace.wait(str(target), pressing=True) == 0
    assert pace.wait("0", pressing=False) == 0
