"""Delays grow to a limit, and a response cannot request an arbitrary one."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.cluster.backoff import MAX_RETRY_AFTER, jittered, retry_after


@pytest.mark.parametrize(
    ("failures", "ceiling"), [(0, 0.5), (1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 6.0), (9999, 6.0)]
)
def test_delay_doubles_to_the_limit_with_jitter(failures: int, ceiling: float) -> None:
    delays = [jittered(failures, 0.5, 6.0) for _ in range(200)]
    assert ceiling / 2 <= min(delays) < max(delays) <= ceiling


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("120", MAX_RETRY_AFTER),
        ("9" * 400, 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("nan", 0.0),
        ("inf", 0.0),
        ("1e999", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
        ("Fri, 99 Dec 2026 23:59:59 GMT", 0.0),
    ],
)
def test_retry_after_is_bounded(value: str | None, seconds: float) -> None:
    assert retry_after(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    assert 8 < retry_after(formatdate(time.time() + 10, usegmt=True)) <= 10


@given(st.text())
def test_retry_after_accepts_any_text(value: str) -> None:
    assert 0.0 <= retry_after(value) <= MAX_RETRY_AFTER
