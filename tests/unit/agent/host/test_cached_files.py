"""Kept descriptors: they never outlive the name that they were opened by, and never use up what others need."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from metricat_agent.host.cached_files import CachedFiles
from metricat_agent.host.fd_limit import FdLimit

if TYPE_CHECKING:
    from pathlib import Path


def opened_below(folder: Path) -> int:
    """Count this process's descriptors of files in a folder."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 -- names of descriptors
        with suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith(str(folder))  # noqa: PTH115
    return found


def test_who_is_gone_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    files, left = CachedFiles(), CachedFiles.allowance.left
    files.text(str(tmp_path / "x"))
    files.attributes(str(tmp_path), ("x",))
    assert (opened_below(tmp_path), CachedFiles.allowance.left) == (2, left - 2)
    del files
    assert (opened_below(tmp_path), CachedFiles.allowance.left) == (0, left)


def test_an_unchanged_file_is_the_same_object_and_a_changed_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1 2 3\n")
    files = CachedFiles()
    first = files.text(str(tmp_path / "x"))
    assert files.text(str(tmp_path / "x")) is first
    with (tmp_path / "x").open("r+") as same_file:
        same_file.write("1 2 4\n")
    assert files.text(str(tmp_path / "x")) == "1 2 4\n"
    (tmp_path / "x").write_text("9" * (1 << 17))
    for _ in range(2):
        assert len(files.text(str(tmp_path / "x"))) == 1 << 17, "what is large is not remembered, but told"


def test_devices_that_come_and_go_leave_no_descriptors(tmp_path: Path) -> None:
    files, left = CachedFiles(), CachedFiles.allowance.left
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
    assert (opened_below(tmp_path), CachedFiles.allowance.left) == (1, left - 1)
    files.close()


def test_what_is_read_at_every_scrape_stays_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_attributes_follow_the_name_and_not_the_device(tmp_path: Path) -> None:
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


def test_all_together_keep_no_more_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedFiles, "allowance", FdLimit(5))
    names = [str(number) for number in range(4)]
    for name in names:
        (tmp_path / name).write_text(name)
    users = [CachedFiles() for _ in range(3)]
    for _ in range(2):
        for user in users:
            assert [user.text(f"{tmp_path}/{name}") for name in names] == names
            assert user.attributes(str(tmp_path), names) == dict(zip(names, names, strict=True))
        assert opened_below(tmp_path) == 5
    for user in users:
        user.close()
    assert (opened_below(tmp_path), CachedFiles.allowance.left) == (0, 5)


def test_where_none_is_left_it_gives_its_own_back_and_reads_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CachedFiles, "allowance", FdLimit(10))  # that of the process is shared with every other test
    for number in range(6):
        (tmp_path / str(number)).write_text(str(number))
    files, era = CachedFiles(), CachedFiles.era
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
    assert CachedFiles.era > era, "the others give theirs back too"
