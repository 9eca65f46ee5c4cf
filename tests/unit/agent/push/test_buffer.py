"""The buffer: memory while the receiver answers, disk otherwise, within limits of bytes and age."""

from __future__ import annotations

import os
import resource
import threading
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_agent.push.buffer import KEPT_SAMPLES, Buffer
from metricat_agent.push.series_encoder import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_795_000_000_000
MIB = 1 << 20
DAY = 86_400_000


def batch(number: int, size: int = 100, samples: int = 100) -> Batch:
    return Batch(f"{number} ".encode() + os.urandom(size), samples, NOW + number)


def numbers(buffer: Buffer) -> list[int]:
    """Return the numbers of all batches in order, and remove them."""
    found = []
    while records := buffer.get(250, MIB, timeout=0):
        found += [int(zlib.decompress(record.data).partition(b" ")[0]) for record in records]
        buffer.remove_through(records[-1].number)
    return found


@contextmanager
def full_disk() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_batch_that_is_sent_immediately_is_never_on_disk(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    for number in range(3):
        buffer.put(batch(number))
        assert numbers(buffer) == [number]
        assert list(tmp_path.glob("*.segment")) == []


def test_batches_are_on_disk_from_the_first_delay_on(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    for number in range(3):
        buffer.put(batch(number))
    [record] = buffer.get(1, 1, timeout=0)
    assert len(list(tmp_path.glob("*.segment"))) == 1
    buffer.put(batch(3))
    buffer.remove_through(record.number)
    assert numbers(buffer) == [1, 2, 3]


def test_batch_in_flight_that_moves_to_disk_is_removed_there(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    buffer.put(batch(0))
    [record] = buffer.get(100, MIB, timeout=0)
    buffer.put(batch(1))
    buffer.remove_through(record.number)
    assert numbers(buffer) == [1]


def test_restart_keeps_the_batches_and_their_order(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    for number in range(5):
        buffer.put(batch(number))
    buffer.close()
    buffer = Buffer(str(tmp_path), MIB, DAY)
    assert buffer.samples == 500
    buffer.put(batch(5))
    assert numbers(buffer) == list(range(6))


def test_closing_writes_the_batch_in_memory(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    buffer.put(batch(0))
    buffer.close()
    assert numbers(Buffer(str(tmp_path), MIB, DAY)) == [0]


def test_oldest_samples_are_dropped_above_the_limit_of_bytes(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    for number in range(200):
        buffer.put(batch(number, 10_000))
        assert buffer.bytes <= MIB + 20_000
    kept = numbers(buffer)
    assert kept == list(range(200 - len(kept), 200))
    assert buffer.dropped == {"buffer_full": (200 - len(kept)) * 100}
    assert len(kept) > 90


def test_old_samples_are_dropped(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, most_age=1000)
    for number in range(0, 100_000, 1000):
        buffer.put(batch(number, 60_000))
    kept = numbers(buffer)
    assert kept == list(range(100_000 - 1000 * len(kept), 100_000, 1000))
    assert len(kept) in (10, 11)  # a segment is dropped when its newest batch is old
    assert buffer.dropped == {"too_old": 100 * (100 - len(kept))}


def test_newest_thousand_samples_are_never_dropped(tmp_path: Path) -> None:
    for folder in ("", str(tmp_path)):
        buffer = Buffer(folder, 1000, 0, memory_bytes=1000)
        for number in range(50):
            buffer.put(batch(number, 100_000))
            assert buffer.samples >= min(KEPT_SAMPLES, 100 * (number + 1))
        assert 1000 <= buffer.samples <= 1200


def test_memory_alone_drops_the_oldest_above_its_limit() -> None:
    buffer = Buffer("", 64 * MIB, DAY, memory_bytes=200_000)
    for number in range(50):
        buffer.put(batch(number, 10_000))
    kept = numbers(buffer)
    assert kept == list(range(50 - len(kept), 50))
    assert 15 < len(kept) < 21


def test_full_disk_keeps_batches_in_memory_and_in_order(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY)
    for number in range(3):
        buffer.put(batch(number))
    with full_disk():
        for number in range(3, 6):
            buffer.put(batch(number))
        assert (buffer.samples, buffer.disk_errors) == (600, 3)
    [record] = buffer.get(1, 1, timeout=0)
    buffer.remove_through(record.number)
    buffer.put(batch(6))
    buffer.close()
    assert numbers(Buffer(str(tmp_path), MIB, DAY)) == list(range(1, 7))


def test_disk_that_stays_full_drops_the_oldest_first(tmp_path: Path) -> None:
    buffer = Buffer(str(tmp_path), MIB, DAY, memory_bytes=100_000)
    for number in range(20):
        buffer.put(batch(number, 10_000))
    with full_disk():
        for number in range(20, 60):
            buffer.put(batch(number, 10_000))
        kept = numbers(buffer)
    assert kept == list(range(60 - len(kept), 60))
    assert buffer.dropped == {"buffer_full": (60 - len(kept)) * 100}


def test_unusable_directory_leaves_a_buffer_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    buffer = Buffer(str(tmp_path / "file"), MIB, DAY)
    buffer.put(batch(0))
    assert (buffer.disk_errors, numbers(buffer)) == (1, [0])


def test_get_waits_for_a_batch_and_returns_when_woken() -> None:
    buffer = Buffer("", MIB, DAY)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(len(buffer.get(1, 1, timeout=60))))
    thread.start()
    buffer.put(batch(0))
    thread.join(10)
    assert found == [1]
    numbers(buffer)
    thread = threading.Thread(target=lambda: found.append(len(buffer.get(1, 1, timeout=60))))
    thread.start()
    buffer.wake()
    thread.join(10)
    assert found == [1, 0]
