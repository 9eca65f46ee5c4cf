"""The store survives kill -9 at any moment: no acknowledged sample is lost, and none is stored twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metricat_hub.store.embedded import EmbeddedStore
from support import store_writer
from support.hub_store import BEGIN, HOUR, Clock, named, read
from support.paths import ROOT
from support.store_writer import RAW_KEPT, SERIES, SETTINGS, STEP, name, value


def kill_while_writing(folder: Path, first: int, seconds: float) -> list[int]:
    """Run the writer, kill it after some seconds of writing, and return the acknowledged steps."""
    with subprocess.Popen(
        [sys.executable, store_writer.__file__, str(folder), str(first)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    ) as writer:
        assert writer.stdout is not None
        line = writer.stdout.readline()
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = [line, *writer.stdout.read().splitlines(keepends=True)]
    complete = [line.split() for line in lines if line.endswith(b"\n")]
    assert complete, "the writer acknowledged nothing"
    # Each acknowledgement is for all samples of its step.
    assert {int(count) for _, count in complete} == {SERIES}
    return [int(step) for step, _ in complete]


def check(folder: Path, acknowledged: set[int]) -> None:
    newest = max(acknowledged)
    store = EmbeddedStore.open(folder, SETTINGS, Clock(BEGIN + newest * STEP))
    found = {}
    for metric in ("m", "m_total"):
        found.update(read(store, named(metric), BEGIN + newest * STEP - RAW_KEPT + 2 * HOUR))
    kept = [step for step in sorted(acknowledged) if BEGIN + step * STEP >= BEGIN + newest * STEP - RAW_KEPT + 2 * HOUR]
    for series in range(SERIES):
        samples = dict(found[name(series)])
        assert len(samples) == len(found[name(series)])
        assert {step: samples.get(BEGIN + step * STEP) for step in kept} == {step: value(series, step) for step in kept}
        # At most the batch that was not acknowledged yet is also there, after each kill.
        assert all(float(stored) == value(series, (at - BEGIN) // STEP) for at, stored in samples.items())
    store.maintain(pack_all=True)
    store.close()


def rounds(folder: Path, count: int, seed: int) -> None:
    source = random.Random(seed)
    acknowledged: set[int] = set()
    step = 0
    for _ in range(count):
        done = kill_while_writing(folder, step, source.uniform(0, 0.4))
        acknowledged.update(done)
        check(folder, acknowledged)
        step = max(acknowledged) + 2


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    rounds(tmp_path, 20, 1)


@pytest.mark.slow
def test_two_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    rounds(tmp_path, 200, 2)
