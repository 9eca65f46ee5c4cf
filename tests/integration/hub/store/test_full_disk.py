"""A full disk: the store refuses samples with a message, keeps reading, and recovers when there is room."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.ports import Hints
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import EmbeddedStore, Settings
from support.hub_store import MINUTE, Clock, labels, named, points


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a filesystem of 8 MiB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path], check=False).returncode:
        pytest.skip("mounting a filesystem requires root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)  # a failed test may have open files


@pytest.mark.parametrize("reserve", [0, 2 << 20])
def test_full_disk_refuses_samples_keeps_reading_and_recovers(small_disk: Path, reserve: int) -> None:
    clock = Clock()
    store = EmbeddedStore.open(small_disk, Settings(reserve_bytes=reserve, head_samples=20_000), clock)
    numbers = store.resolve([labels("m", at=str(at)) for at in range(1000)])
    generator = np.random.default_rng(1)
    accepted: list[int] = []
    refused: list[str] = []
    for _ in range(2000):
        clock.now += MINUTE
        try:
            assert store.append(Batch(numbers, np.full(1000, clock.now), generator.random(1000))).accepted == 1000
            accepted.append(clock.now)
            if len(accepted) % 20 == 0:
                store.maintain()
        except StoreUnavailableError as error:
            refused.append(str(error))
            if len(refused) > 5:
                break
    assert ["the disk is full" in message for message in refused] == [True] * 6
    assert [time for time, _ in points(store.select(named("m"), 0, clock.now, Hints()).series[7])] == accepted

    store.close()
    store = EmbeddedStore.open(small_disk, Settings(reserve_bytes=reserve), clock)
    assert [time for time, _ in points(store.select(named("m"), 0, clock.now, Hints()).series[7])] == accepted
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    clock.now += MINUTE
    assert store.append(Batch(numbers, np.full(1000, clock.now), generator.random(1000))).accepted == 1000
    store.maintain(pack_all=True)
    found = points(store.select(named("m"), 0, clock.now, Hints()).series[7])
    assert [time for time, _ in found] == [*accepted, clock.now]
    store.close()
