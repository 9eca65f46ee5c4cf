"""When an alert fires: worked examples, and a comparison with Prometheus' state machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_cli.episodes import Episode, Timing, episodes

NOW = 1000.0


def fired(evaluations: list[float], timing: Timing) -> list[tuple[float, float]]:
    return [(one.start, one.end) for one in episodes(evaluations, timing, NOW)]


@pytest.mark.parametrize(
    ("what", "evaluations", "timing", "expected"),
    [
        ("never true", [], Timing(10), []),
        ("fires at once and ends at the next evaluation", [100, 110], Timing(10), [(100, 120)]),
        ("not for long enough", [100, 110, 120], Timing(10, for_=30), []),
        ("just long enough", [100, 110, 120, 130], Timing(10, for_=30), [(130, 140)]),
        ("a miss restarts the wait", [100, 110, 120, 140, 150, 160], Timing(10, for_=30), []),
        ("keep_firing_for bridges a miss", [100, 110, 140, 150], Timing(10, keep_firing_for=40), [(100, 200)]),
        (
            "keep_firing_for ends, then fires again",
            [100, 110, 200],
            Timing(10, keep_firing_for=40),
            [(100, 160), (200, 250)],
        ),
        ("keep_firing_for without a firing alert", [100, 120], Timing(10, for_=20, keep_firing_for=600), []),
        ("keep_firing_for ends at the next evaluation", [100], Timing(10, keep_firing_for=15), [(100, 130)]),
        ("still fires", [980, 990, 1000], Timing(10), [(980, 1000)]),
        ("still kept by keep_firing_for", [980, 990], Timing(10, keep_firing_for=60), [(980, 1000)]),
    ],
)
def test_episodes_of_the_examples_are_found(
    what: str, evaluations: list[float], timing: Timing, expected: list[tuple[float, float]]
) -> None:
    assert fired(evaluations, timing) == expected, what


def replayed(present: set[int], timing: Timing, count: int) -> list[tuple[float, float]]:
    """Return the same episodes, computed by Prometheus' state machine for each evaluation."""
    found, pending, firing, missing = [], None, None, None
    for number in range(count + 1):
        now = number * timing.step
        if number in present:
            missing = None
            pending = now if pending is None else pending
            if firing is None and now - pending >= timing.for_:
                firing = now
        elif firing is None:
            pending = None
        else:
            missing = now if missing is None else missing
            if now - missing >= timing.keep_firing_for:
                found.append((firing, now))
                pending = firing = missing = None
    return [*found, (firing, count * timing.step)] if firing is not None else found


@given(
    present=st.sets(st.integers(0, 60)),
    for_halves=st.integers(0, 16),
    keep_halves=st.integers(0, 16),
    step=st.sampled_from([1.0, 15.0, 30.0]),
)
def test_episodes_equal_prometheus_state_machine(
    present: set[int], for_halves: int, keep_halves: int, step: float
) -> None:
    """Durations are multiples of half an evaluation interval."""
    timing = Timing(step, for_halves * step / 2, keep_halves * step / 2)
    evaluations = [number * step for number in sorted(present)]
    assert list(episodes(evaluations, timing, 60 * step)) == [Episode(*one) for one in replayed(present, timing, 60)]
