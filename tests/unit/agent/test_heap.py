"""Memory after many scrapes: a scrape leaks nothing, and freed memory returns to the system."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from metricat_agent.heap import HeapTuner

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.host.hostfs import Host

SCRAPES = 300
LEAK = """
import gc, sys
from pathlib import Path
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry

*paths, scrapes = sys.argv[1:]
host = Host(*paths)
directory = Path(host.procfs).parent / "textfile"
given = parse([f"--collector.textfile.directory={directory}", "--no-collector.processes"], {}, COLLECTORS)
made = [COLLECTORS[name](host, chosen.filters, chosen.options) for name, chosen in given.collectors.items()]
registry = Registry(made, limits=ExecutorLimits(timeout=60))  # the result must not depend on speed

def blocks_after(count):
    for number in range(count):
        assert registry.page("openmetrics" if number % 2 else "text").gzipped
    gc.collect()
    return sys.getallocatedblocks()

before = blocks_after(50)
print(blocks_after(int(scrapes)) - before)
"""
"""Prints how many allocated blocks remain after many scrapes."""


@pytest.fixture
def tuner() -> Iterator[HeapTuner]:
    thresholds = gc.get_threshold()
    yield HeapTuner()
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_scrapes_leak_no_memory(host: Host) -> None:
    """Measure in a subprocess: the sampling threads of other tests' collectors allocate memory too."""
    done = subprocess.run(
        [sys.executable, "-c", LEAK, host.procfs, host.sysfs, host.rootfs, str(SCRAPES)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert int(done.stdout) < SCRAPES


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
