"""Kept descriptors follow the path that they were opened by, and stay within their limit."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from metricat_agent.host.cached_files import CachedFiles
from metricat_agent.host.fd_limit import FdLimit
from metricat_agent.host.hostfs import Host

if TYPE_CHECKING:
    from pathlib import Path


def opened_below(folder: Path) -> int:
    """Return the number of this process's descriptors of files in a folder."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- names of descriptors
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith(str(folder))  # noqa: PTH115
    return found


def test_descriptors_are_closed_with_the_last_reference(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    limit = FdLimit(10)
    files = CachedFiles(limit)
    files.text(str(tmp_path / "x"))
    files.attributes(str(tmp_path), ("x",))
    assert (opened_below(tmp_path), limit.left) == (3, 7), "the file, the directory and its attribute"
    del files
    assert (opened_below(tmp_path), limit.left) == (0, 10)


def test_unchanged_file_returns_the_same_object_and_changed_file_the_new_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1 2 3\n")
    files = CachedFiles()
    first = files.text(str(tmp_path / "x"))
    assert files.text(str(tmp_path / "x")) is first
    with (tmp_path / "x").open("r+") as same_file:
        same_file.write("1 2 4\n")
    assert files.text(str(tmp_path / "x")) == "1 2 4\n"
    (tmp_path / "x").write_text("9" * (1 << 17))
    for _ in range(2):
        assert len(files.text(str(tmp_path / "x"))) == 1 << 17, "large content is returned but not kept"


def test_removed_devices_leave_no_descriptors(tmp_path: Path) -> None:
    limit = FdLimit(500)
    files = CachedFiles(limit)
    (tmp_path / "stat").write_text("1")
    for number in range(200):
        device = tmp_path / f"veth{number}"
        device.mkdir()
        for name in ("mtu", "flags"):
            (device / name).write_text(str(number))
        for _ in range(2):
            assert files.text(f"{tmp_path}/stat") == "1"
            assert files.attributes(str(device), ("mtu", "flags"))["mtu"] == str(number)
            files.text(f"{device}/mtu")
    assert opened_below(tmp_path) < 60
    for _ in range(200):
        files.text(f"{tmp_path}/stat")
    assert (opened_below(tmp_path), limit.left) == (1, 499)
    files.close()


def test_files_read_at_every_scrape_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(number) for number in range(200)]
    for name in names:
        (tmp_path / name).write_text(name)
    files = CachedFiles()
    for _ in range(4):
        assert [files.text(f"{tmp_path}/{name}") for name in names] == names
    monkeypatch.setattr(files, "_open", None)
    for _ in range(20):
        assert [files.text(f"{tmp_path}/{name}") for name in names] == names
    files.close()


def test_attributes_follow_the_path_and_not_the_device(tmp_path: Path) -> None:
    for name, mtu in (("a0", "1111"), ("b0", "2222")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mtu").write_text(mtu)
        (tmp_path / name / "ifindex").write_text(mtu[0])
    files = CachedFiles()

    def read(name: str) -> tuple[str, str]:
        found = files.attributes(str(tmp_path / name), ("mtu",), ("ifindex",))
        return found["mtu"], found["ifindex"]

    assert [read("a0"), read("b0")] == [("1111", "1"), ("2222", "2")]
    for old, new in (("a0", "x"), ("b0", "a0"), ("x", "b0")):
        (tmp_path / old).rename(tmp_path / new)
    for _ in range(2):
        assert [read("a0"), read("b0")] == [("2222", "2"), ("1111", "1")]
    files.close()


def test_all_users_together_stay_within_the_limit(tmp_path: Path) -> None:
    limit = FdLimit(5)
    names = [str(number) for number in range(4)]
    for name in names:
        (tmp_path / name).write_text(name)
    users = [CachedFiles(limit) for _ in range(3)]
    for _ in range(2):
        for user in users:
            assert [user.text(f"{tmp_path}/{name}") for name in names] == names
            assert user.attributes(str(tmp_path), names) == dict(zip(names, names, strict=True))
        assert opened_below(tmp_path) == 5
    for user in users:
        user.close()
    assert (opened_below(tmp_path), limit.left) == (0, 5)


def test_hosts_of_all_threads_share_one_limit() -> None:
    host = Host()
    assert host.with_own_files().fd_limit is host.fd_limit
    assert host.with_own_files().files is not host.files
    assert Host().fd_limit is not host.fd_limit


def test_reclaim_makes_every_user_close_its_descriptors_before_its_next_read(tmp_path: Path) -> None:
    limit = FdLimit(10)
    users = [CachedFiles(limit) for _ in range(2)]
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        assert [user.text(f"{tmp_path}/{name}") for user in users] == [name] * 2
    assert opened_below(tmp_path) == 4
    limit.reclaim()
    assert [user.text(f"{tmp_path}/a") for user in users] == ["a"] * 2
    assert (opened_below(tmp_path), limit.left) == (2, 8)
    assert [user.text(f"{tmp_path}/b") for user in users] == ["b"] * 2
    assert (opened_below(tmp_path), limit.left) == (4, 6)


def test_file_is_read_when_the_process_has_no_free_descriptor(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / str(number)).write_text(str(number))
    limit = FdLimit(10)
    files, generation = CachedFiles(limit), limit.generation
    for number in range(5):
        files.text(f"{tmp_path}/{number}")
    before, fillers = resource.getrlimit(resource.RLIMIT_NOFILE), []
    most = max(int(name) for name in os.listdir("/proc/self/fd")) + 50  # noqa: PTH208 -- names of descriptors
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        with suppress(OSError):
            while True:
                fillers.append(os.dup(0))
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        assert [files.text(f"{tmp_path}/{number}") for number in range(5, -1, -1)] == list("543210")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for filler in fillers:
            os.close(filler)
        files.close()
    assert limit.generation > generation, "the other users close theirs too"


def test_constant_that_cannot_be_read_stays_open_and_is_counted(tmp_path: Path) -> None:
    (tmp_path / "mtu").write_text("1500\n")
    (tmp_path / "kind").mkdir()  # opening it works, and reading it fails
    os.utime(tmp_path, (1, 1))
    files = CachedFiles()
    first = files.attributes(str(tmp_path), ("mtu",), ("kind",))
    assert first == {"mtu": "1500"}
    for _ in range(3):
        assert files.attributes(str(tmp_path), ("mtu",), ("kind",)) is first, "nothing was opened again"
        assert set(files.skips.take()) == {("io_error", f"{tmp_path}/kind")}


def test_short_table_with_known_lines_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, at: int) -> bytes:
        reads.append(at)
        return pread(descriptor, size, at)

    monkeypatch.setattr(os, "pread", counted)
    files = CachedFiles()
    path = tmp_path / "udp"
    for lines, expected in ((1, 1), (15, 1), (16, 2), (100, 2)):
        path.write_text("x" * 254 + "\n" + ("y" * 254 + "\n") * (lines - 1))
        files.text(str(path), 256)
        reads.clear()
        assert files.text(str(path), 256) == path.read_text()
        assert len(reads) == expected, f"{lines} lines"
        reads.clear()
        files.text(str(path))
        assert len(reads) == 2
