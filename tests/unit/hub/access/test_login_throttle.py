"""The throttle of logins: limits by user and address, their end, and its bounded memory."""

from __future__ import annotations

import pytest

from metricat_hub.access.login_throttle import (
    PER_ADDRESS,
    PER_USER,
    PER_USER_AND_ADDRESS,
    LoginThrottle,
    ThrottledError,
)

_MINUTE = 60_000


def accepted(throttle: LoginThrottle, attempts: list[tuple[str, str]], now: int = 0) -> int:
    """Return how many attempts are accepted before the first refused one."""
    for count, (name, address) in enumerate(attempts):
        try:
            throttle.begin(name, address, now)
        except ThrottledError:
            return count
    return len(attempts)


def test_one_address_tries_one_user_five_times_in_15_minutes() -> None:
    throttle = LoginThrottle()
    assert accepted(throttle, [("ada", "192.0.2.1")] * 100) == PER_USER_AND_ADDRESS == 5
    with pytest.raises(ThrottledError, match="Retry after 841 seconds") as raised:
        throttle.begin("ADA", "::ffff:192.0.2.1", _MINUTE)
    assert raised.value.seconds == 841
    throttle.begin("ada", "192.0.2.2", _MINUTE)
    throttle.begin("bob", "192.0.2.1", _MINUTE)
    throttle.begin("ada", "192.0.2.1", 15 * _MINUTE)


def test_one_address_tries_many_users_fifty_times() -> None:
    assert accepted(LoginThrottle(), [(f"user{i}", "192.0.2.1") for i in range(1000)]) == PER_ADDRESS


def test_many_addresses_try_one_user_two_hundred_times() -> None:
    assert accepted(LoginThrottle(), [("ada", f"192.0.{i // 256}.{i % 256}") for i in range(1000)]) == PER_USER


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    assert accepted(LoginThrottle(), [("ada", f"2001:db8:0:1::{i:x}") for i in range(100)]) == PER_USER_AND_ADDRESS


def test_success_returns_the_attempt_and_forgets_the_failed_ones_of_the_client() -> None:
    throttle = LoginThrottle()
    for _ in range(1000):
        throttle.begin("ada", "192.0.2.1", 0)
        throttle.succeed("ada", "192.0.2.1")
    assert accepted(throttle, [("ada", "192.0.2.1")] * 100) == PER_USER_AND_ADDRESS


def test_success_of_one_user_does_not_reset_the_limit_of_the_address() -> None:
    throttle = LoginThrottle()
    failed = 0
    for i in range(1000):
        failed += accepted(throttle, [(f"user{i}", "192.0.2.1")])
        if accepted(throttle, [("eve", "192.0.2.1")]):
            throttle.succeed("eve", "192.0.2.1")
    assert failed == PER_ADDRESS


def test_memory_is_bounded() -> None:
    throttle = LoginThrottle()
    for i in range(12_000):
        throttle.begin(f"user{i}", f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 0)
    assert len(throttle._attempts) <= 10_000
