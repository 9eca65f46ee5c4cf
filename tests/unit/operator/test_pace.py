"""What happens often is done together, and none waits for another."""

from metricat_operator.cluster.pace import Pace


def test_a_key_has_its_turns_apart() -> None:
    now = [100.0]
    pace = Pace(clock=lambda: now[0])
    assert pace.wait("a", 3) == 0
    now[0] += 1
    assert pace.wait("a", 3) == 2
    assert pace.wait("a", 10) == 9
    assert pace.wait("b", 3) == 0
    now[0] += 2
    assert pace.wait("a", 10) == 7
    assert pace.wait("a", 3) == 0
    assert pace.wait("a", 3) == 3
