"""When an alert fires: worked examples, and properties that hold whatever the instants are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_cli.episodes import Episode, Timing, episodes

NOW = 1000.0


def fired(instants: list[float], timing: Timing) -> list[tuple[float, float]]:
    return [(one.start, one.end) for one in episodes(instants, timing, NOW)]


@pytest.mark.parametrize(
    ("what", "instants", "timing", "expected"),
    [
        ("never true", [], Timing(10), []),
        ("at once, and over at the next evaluation", [100, 110], Timing(10), [(100, 120)]),
        ("not for long enough", [100, 110, 120], Timing(10, hold=30), []),
        ("just long enough", [100, 110, 120, 130], Timing(10, hold=30), [(130, 140)]),
        ("one miss begins the wait anew", [100, 110, 120, 140, 150, 160], Timing(10, hold=30), []),
        ("a miss does not end what is kept", [100, 110, 140, 150], Timing(10, keep=40), [(100, 200)]),
        ("kept, then over, then anew", [100, 110, 200], Timing(10, keep=40), [(100, 160), (200, 250)]),
        ("kept, but it never fired", [100, 120], Timing(10, hold=20, keep=600), []),
        ("it still fires", [980, 990, 1000], Timing(10), [(980, 1000)]),
        ("it is still kept", [980, 990], Timing(10, keep=60), [(980, 1000)]),
    ],
)
def test_examples(what: str, instants: list[float], timing: Timing, expected: list[tuple[float, float]]) -> None:
    assert fired(instants, timing) == expected, what


def replayed(present: set[int], timing: Timing, evaluations: int) -> list[tuple[float, float]]:
    """The state machine itself, evaluation by evaluation."""
    found, pending, firing, missing = [], None, None, None
    for number in range(evaluations + 1):
        now = number * timing.step
        if number in present:
            missing = None
            pending = now if pending is None else pending
            if firing is None and now - pending >= timing.hold:
                firing = now
        elif firing is None:
            pending = None
        else:
            missing = now if missing is None else missing
            if now - missing >= timing.keep:
                found.append((firing, now))
                pending = firing = missing = None
    return [*found, (firing, evaluations * timing.step)] if firing is not None else found


@given(
    present=st.sets(st.integers(0, 60)),
    hold=st.integers(0, 8),
    keep=st.integers(0, 8),
    step=st.sampled_from([1.0, 15.0, 30.0]),
)
def test_as_the_state_machine_of_prometheus(present: set[int], hold: int, keep: int, step: float) -> None:
    timing = Timing(step, hold * step, keep * step)
    instants = [number * step for number in sorted(present)]
    assert list(episodes(instants, timing, 60 * step)) == [Episode(*one) for one in replayed(present, timing, 60)]
