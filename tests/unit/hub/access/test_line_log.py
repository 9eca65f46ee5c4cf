"""Logs of JSON lines: rotation, full disks, and the bound on what waits."""

from __future__ import annotations

import json
import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.access.line_log import LineLog, LogFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def entries(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_entries_are_lines_of_json_that_only_the_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    with LineLog("audit", str(path), lambda: 1_769_860_800.25) as log:
        for number in range(500):
            log.write({"action": f"line\n{number}"})
    found = entries(path)
    assert [one["action"] for one in found] == [f"line\n{number}" for number in range(500)]
    assert found[0] == {"time": "2026-01-31T12:00:00.250Z", "log": "audit", "action": "line\n0"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("rotate", ["rename", "remove"])
def test_log_continues_in_a_new_file_after_a_rotation(tmp_path: Path, rotate: str) -> None:
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    with LineLog("access", str(path)) as log:
        log.write({"n": 0})
        eventually(lambda: len(entries(path)) == 1)
        if rotate == "rename":
            path.rename(old)
        else:
            path.unlink()

        def continued() -> bool:
            log.write({"n": 1})
            return bool(entries(path))

        eventually(continued)
    assert not log.dropped


def test_full_disk_is_reported_until_it_has_space_and_entries_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.symlink_to("/dev/full")
    with LineLog("access", str(path)) as log:
        log.write({"n": 0})
        eventually(lambda: log.dropped == 1)
        assert log.problem == (
            f"the access log loses entries: {path}: No space left on device. Check the disk, and the permissions of "
            "the file."
        )
        path.unlink()

        def written() -> bool:
            log.write({"n": 1})
            return bool(entries(path))

        eventually(written)
        eventually(lambda: not log.problem)


def test_entries_beyond_the_bound_are_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    log = LineLog("access", str(path))
    log._thread.join(0)
    total = 60_000
    for number in range(total):
        log.write({"n": number})
    log.close()
    assert len(entries(path)) + log.dropped == total


def test_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match=r"cannot open the audit log .*/no/audit.log: No such file or directory"):
        LineLog("audit", str(tmp_path / "no" / "audit.log"))
