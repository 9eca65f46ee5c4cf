"""A bucket allows a burst, then one request an interval, and never exceeds the rate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.web.access.rate_limit import TokenBucket


def test_bucket_allows_a_burst_and_then_one_request_an_interval() -> None:
    clock = [0.0]
    bucket = TokenBucket(2, 3, clock=lambda: clock[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock[0] += 1.9
    assert not bucket.take()
    clock[0] += 0.2
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock[0] += 1000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False], "never more than the burst"


@given(st.lists(st.floats(0, 100), max_size=50), st.integers(1, 5), st.floats(0.1, 10))
def test_bucket_never_exceeds_the_rate(waits: list[float], burst: int, interval: float) -> None:
    clock = [0.0]
    bucket = TokenBucket(interval, burst, clock=lambda: clock[0])
    passed = 0
    for wait in waits:
        clock[0] += wait
        passed += bucket.take()
    assert passed <= burst + clock[0] / interval + 1e-6
