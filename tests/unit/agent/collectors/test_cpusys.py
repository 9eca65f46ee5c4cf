"""The files of CPUs are read again when a CPU may have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import cpusys
from metricat_agent.host.hostfs import Host

if TYPE_CHECKING:
    from pathlib import Path

PLACE = "devices/system/cpu"
ONLINE = f"{PLACE}/cpu1/online"
ISOLATED = f"{PLACE}/isolated"
EVENTS = "kernel/uevent_seqnum"
THROTTLED = f"{PLACE}/cpu0/thermal_throttle/core_throttle_count"


class Tree:
    """A small /sys with two CPUs."""

    def __init__(self, path: Path, *extra: str) -> None:
        self.path = path
        for name in (f"{PLACE}/cpu0/topology/core_id", ONLINE, ISOLATED, *extra):
            self.write(name, "1")
        self.reader = cpusys.Reader(Host(sysfs=str(path)))

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(f"{text}\n")

    def is_online(self) -> bool:
        """Return whether the reader reports CPU 1 as online."""
        return self.reader.read().cpus["1"]["online"] == "1"


def test_cpu_that_is_switched_off_is_reported_at_the_next_scrape(tmp_path: Path) -> None:
    tree = Tree(tmp_path, EVENTS)
    for number in range(3):
        assert tree.is_online()
        assert tree.is_online()
        tree.write(ONLINE, "0")
        tree.write(EVENTS, f"{10 + number}0")
        assert not tree.is_online()
        tree.write(ONLINE, "1")
        tree.write(EVENTS, f"{10 + number}1")


def test_change_without_an_event_is_reported_within_ten_scrapes(tmp_path: Path) -> None:
    tree = Tree(tmp_path, EVENTS)
    assert tree.reader.read().isolated == "1"
    tree.write(ISOLATED, "0-1")
    found = [tree.reader.read().isolated for _ in range(10)]
    assert found[0] == "1"
    assert found[-1] == "0-1"


@pytest.mark.parametrize("extra", [(), (EVENTS, THROTTLED)], ids=["no count of events", "counters of throttling"])
def test_files_that_may_change_without_an_event_are_read_at_every_scrape(
    tmp_path: Path, extra: tuple[str, ...]
) -> None:
    tree = Tree(tmp_path, *extra)
    for text in ("0", "0-1", "1"):
        tree.write(ISOLATED, text)
        assert tree.reader.read().isolated == text
