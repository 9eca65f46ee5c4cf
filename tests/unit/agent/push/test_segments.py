"""The queue in files: order, restarts, damage, a disk that is full."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from metricat_agent.push.segments import Record, Segments, SegmentsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_795_000_000_000
MOST = (1_000_000, 1 << 30)


def record(number: int, size: int = 100) -> Record:
    return Record(f"{number:0{size}}".encode(), 10, NOW + number, number)


def filled(folder: Path, count: int, segment_bytes: int = 500) -> Segments:
    segments = Segments(str(folder), segment_bytes)
    for number in range(1, count + 1):
        segments.append(record(number))
    return segments


def drained(segments: Segments) -> list[int]:
    """Return the numbers in the records' data, and remove them."""
    found = []
    while records := segments.oldest(20, 10_000):
        found += [int(one.data) for one in records]
        segments.remove_through(records[-1].number)
    return found


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let the kernel write a file up to this size only, as on a disk that becomes full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_drain_in_order(tmp_path: Path) -> None:
    segments = filled(tmp_path, 20)
    assert (segments.samples, len(list(tmp_path.glob("*.segment")))) == (200, 5)
    assert drained(segments) == list(range(1, 21))
    assert (segments.samples, segments.bytes, list(tmp_path.glob("*.segment"))) == (0, 0, [])


def test_records_survive_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 20).close()
    segments = Segments(str(tmp_path), 500)
    assert segments.samples == 200
    segments.append(record(segments.next_number))
    assert drained(segments) == list(range(1, 22))


def test_sent_records_are_not_sent_again_after_a_restart(tmp_path: Path) -> None:
    segments = filled(tmp_path, 10)
    segments.remove_through(6)
    segments.close()
    assert drained(Segments(str(tmp_path), 500)) == [7, 8, 9, 10]


def test_records_survive_kill_9(tmp_path: Path) -> None:
    code = (
        "import os, sys; from metricat_agent.push.segments import Record, Segments\n"
        f"segments = Segments({str(tmp_path)!r}, 500)\n"
        "for number in range(1, 8):\n"
        "    segments.append(Record(str(number).encode(), 1, 0, number))\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert drained(Segments(str(tmp_path), 500)) == list(range(1, 8))


@pytest.mark.parametrize("lost", [1, 50, 100, 110, 123])
def test_incomplete_last_record_is_dropped(tmp_path: Path, lost: int) -> None:
    filled(tmp_path, 4, 10_000).close()
    [file] = tmp_path.glob("*.segment")
    os.truncate(file, file.stat().st_size - lost)
    segments = Segments(str(tmp_path), 500)
    assert segments.damaged_bytes == 124 - lost
    assert drained(segments) == [1, 2, 3]


def test_damaged_record_loses_only_its_own_samples(tmp_path: Path) -> None:
    filled(tmp_path, 4, 10_000).close()
    [file] = tmp_path.glob("*.segment")
    data = bytearray(file.read_bytes())
    data[16 + 124 + 60] ^= 1
    file.write_bytes(data)
    segments = Segments(str(tmp_path), 500)
    assert drained(segments) == [1, 3, 4]
    assert (segments.damaged_samples, segments.samples) == (10, 0)


def test_damaged_header_costs_the_rest_of_its_segment(tmp_path: Path) -> None:
    filled(tmp_path, 8).close()
    first, second = sorted(tmp_path.glob("*.segment"))
    for file, at in ((first, 16 + 124), (second, 0)):
        data = bytearray(file.read_bytes())
        data[at] ^= 1
        file.write_bytes(data)
    segments = Segments(str(tmp_path), 500)
    assert drained(segments) == [1]
    assert segments.damaged_bytes > 3 * 124


def test_any_damage_leaves_the_other_records_readable(tmp_path: Path) -> None:
    filled(tmp_path / "original", 6, 300).close()
    files = {file.name: file.read_bytes() for file in (tmp_path / "original").glob("*.segment")}
    for number, name in enumerate(files):
        for at in range(0, len(files[name]), 7):
            folder = tmp_path / f"{number}-{at}"
            folder.mkdir()
            for other, data in files.items():
                changed = bytearray(data)
                if other == name:
                    changed[at] ^= 0x55
                (folder / other).write_bytes(changed)
            segments = Segments(str(folder), 300)
            found = drained(segments)
            segments.close()
            per_segment = len(files[name]) // 124
            assert found == sorted(found)
            assert len(found) >= 6 - per_segment
            assert set(found) <= set(range(1, 7))


def test_removed_file_loses_only_its_own_records(tmp_path: Path) -> None:
    segments = filled(tmp_path, 8)
    min(tmp_path.glob("*.segment")).unlink()
    assert drained(segments) == [5, 6, 7, 8]
    assert segments.damaged_samples == 40


@pytest.mark.parametrize("content", [None, b"MCPUSH1\n"])
def test_file_damaged_during_a_request_loses_only_its_own_records(tmp_path: Path, content: bytes | None) -> None:
    segments = filled(tmp_path, 10)
    [sent] = segments.oldest(1, 1)
    first = min(tmp_path.glob("*.segment"))
    first.unlink() if content is None else first.write_bytes(content)

    segments.remove_through(sent.number)

    assert drained(segments) == [5, 6, 7, 8, 9, 10]
    assert segments.damaged_samples == 40


def test_failed_write_leaves_the_queue_as_it_was(tmp_path: Path) -> None:
    segments = filled(tmp_path, 2, 10_000)
    with file_size_limit(300), pytest.raises(OSError, match="File too large"):
        segments.append(record(3))
    assert (segments.samples, segments.bytes) == (20, 16 + 2 * 124)
    segments.append(record(3))
    assert drained(segments) == [1, 2, 3]


def test_failed_write_of_a_new_segment_leaves_no_file(tmp_path: Path) -> None:
    segments = Segments(str(tmp_path), 500)
    with file_size_limit(20), pytest.raises(OSError, match="File too large"):
        segments.append(record(1))
    assert list(tmp_path.glob("*.segment")) == []
    segments.append(record(1))
    assert drained(segments) == [1]


def test_second_process_cannot_use_the_directory(tmp_path: Path) -> None:
    segments = filled(tmp_path, 1)
    with pytest.raises(SegmentsError, match="no other program uses"):
        Segments(str(tmp_path), 500)
    segments.close()
    Segments(str(tmp_path), 500).close()
