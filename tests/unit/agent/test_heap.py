"""Memory after many scrapes: a scrape leaks nothing, and freed memory returns to the system."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.heap import HeapTuner
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.host.hostfs import Host

SCRAPES = 300


@pytest.fixture
def tuner() -> Iterator[HeapTuner]:
    thresholds = gc.get_threshold()
    yield HeapTuner()
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_scrapes_leak_no_memory(host: Host) -> None:
    directory = Path(host.procfs).parent / "textfile"
    given = parse([f"--collector.textfile.directory={directory}", "--no-collector.processes"], {}, COLLECTORS)
    made = {name: COLLECTORS[name](host, chosen.filters, chosen.options) for name, chosen in given.collectors.items()}
    registry = Registry(made.values(), limits=ExecutorLimits(timeout=60))  # this test is not about speed

    def blocks_after(scrapes: int) -> int:
        for number in range(scrapes):
            assert registry.page("openmetrics" if number % 2 else "text").gzipped
        gc.collect()
        return sys.getallocatedblocks()

    before = blocks_after(50)
    assert blocks_after(SCRAPES) - before < SCRAPES


def test_freed_tuples_are_released_after_a_hundred_responses(tuner: HeapTuner) -> None:
    gc.collect()
    held = [tuple([None] * 17) for _ in range(1500)]
    before = sys.getallocatedblocks()
    held.clear()
    assert before - sys.getallocatedblocks() < 100, (
        "Python keeps freed tuples; if it no longer does, so much the better"
    )
    for _ in range(100):
        tuner.after_response()
    assert before - sys.getallocatedblocks() > 1000
