"""What happens often is done together, and none waits for another."""

from metricat_operator.cluster.pace import Pace


def test_a_key_has_one_turn_in_its_time() -> None:
    now = [100.0]
    pace = Pace(3, clock=lambda: now[0])
    assert pace.wait("a") == 0
    now[0] += 1
    assert pace.wait("a") == 2
    assert pace.wait("b") == 0
    now[0] += 2
    assert pace.wait("a") == 0
    assert pace.wait("a") == 3
