"""Failures of kopf are logged once, with all details at the level DEBUG."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from metricat_operator import log_setup

REPEATED = [
    ("kopf._cogs.clients.watching", "Request attempt #2 failed; will retry: GET https://a -> TimeoutError()"),
    ("kopf._cogs.clients.watching", "Request attempt #12/20 failed; will retry: GET https://a -> TimeoutError()"),
    ("kopf._core.reactor.running", "Multidimensional multitasker has failed: Ran out of valid credentials."),
    ("kopf._core.reactor.running", "Startup/cleanup activities has failed: x"),
    (
        "asyncio",
        "Task exception was never retrieved\nfuture: <Task coro=<f() done, defined at /v/site-packages/kopf/a.py:1>",
    ),
]
KEPT = [
    ("kopf._cogs.clients.watching", "Request attempt #1 failed; will retry: GET https://a -> TimeoutError()"),
    ("kopf._core.reactor.queueing", "Event processing has failed with an unrecoverable error for x."),
    (
        "asyncio",
        "Task exception was never retrieved\nfuture: <Task coro=<f() done, defined at /v/metricat_operator/a.py:1>",
    ),
    ("metricat_operator.cluster", "Request attempt #2 failed; will retry"),
]


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.reset_defaults()


@pytest.mark.parametrize(("level", "expected"), [("INFO", KEPT), ("DEBUG", KEPT + REPEATED)])
def test_repeated_failures_of_kopf_are_logged_at_debug_only(
    level: str, expected: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    log_setup.configure(form="json", level=level)
    for logger, message in KEPT + REPEATED:
        logging.getLogger(logger).error(message)
    assert len(capsys.readouterr().err.splitlines()) == len(expected)
