"""Links below the host's mounted root: what they lead to, and that they never lead out of the root."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import diskstats
from metricat_agent.collectors import os as os_release
from metricat_agent.collectors.diskstats import Row
from metricat_agent.host.hostfs import Host
from metricat_agent.host.rooted_path import resolve_in_root

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root with an os-release, in a directory that holds another one outside of the root."""
    files = tmp_path / "host/usr/lib"
    files.mkdir(parents=True)
    (files / "os-release").write_text("ID=inside\n")
    (tmp_path / "host/etc").mkdir()
    (tmp_path / "outside").write_text("ID=outside\n")
    return tmp_path / "host"


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    "links",
    [
        {},
        {"etc/os-release": "/usr/lib/os-release"},
        {"etc/os-release": "../usr/lib/os-release"},
        {"etc/os-release": "/etc/static/os-release", "etc/static": "/store/etc", "store/etc": "/usr/lib"},
        {"etc/os-release": "../../../../usr/lib/os-release"},
        {"etc/os-release": "/../usr/lib/os-release"},
        {"etc/os-release": "//usr/./lib/../lib//os-release"},
        {"etc/os-release": "/lib/os-release", "lib": "usr/lib"},
        {"etc/os-release": "/outside"},
        {"etc/os-release": "../../outside"},
        {"etc/os-release": "/usr/gone/os-release"},
        {"etc/os-release": "os-release"},
        {"etc/os-release": "/usr/lib/os-release/file"},
    ],
    ids=lambda links: " ".join(map("=".join, links.items())),
)
def test_operating_system_is_that_of_the_mounted_root(root: Path, links: dict[str, str]) -> None:
    for path, target in links.items():
        link(root / path, target)
    metrics = os_release.OperatingSystem(Host(rootfs=str(root))).collect()
    labels = dict(zip(os_release.LABELS, metrics[0][1][0][0], strict=True))
    assert labels["id"] == "inside"


def test_link_that_is_replaced_is_followed_again(root: Path) -> None:
    link(root / "etc/os-release", "/etc/static/os-release")
    link(root / "etc/static", "/usr/lib")
    collector = os_release.OperatingSystem(Host(rootfs=str(root)))
    before = collector.collect()
    (root / "next").mkdir()
    (root / "next/os-release").write_text("ID=next\n")
    (root / "etc/static").unlink()
    link(root / "etc/static", "/next")
    assert collector.collect() != before


def test_unreadable_file_fails_only_without_another(root: Path) -> None:
    (root / "etc/os-release").mkdir()
    collector = os_release.OperatingSystem(Host(rootfs=str(root)))
    assert collector.collect()
    (root / "usr/lib/os-release").unlink()
    with pytest.raises(IsADirectoryError):
        os_release.read(collector.host)


def test_loop_of_links_is_an_error(root: Path) -> None:
    link(root / "a", "b")
    link(root / "b", "/a")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        resolve_in_root(str(root), "/a")


def test_link_without_target_is_an_error(root: Path) -> None:
    link(root / "a", "/outside")
    with pytest.raises(FileNotFoundError):
        resolve_in_root(str(root), "/a/b")
    with pytest.raises(FileNotFoundError):
        Host(rootfs=str(root)).root_text("/a")


def test_path_of_the_readers_own_root_is_left_to_the_kernel() -> None:
    assert resolve_in_root("/", "/etc/os-release") == "/etc/os-release"


@pytest.mark.parametrize("target", ["/var/run", "/var/log/../run", "var/run"])
def test_udev_data_is_found_through_links_of_the_root(root: Path, target: str) -> None:
    data = root / "var/run/udev/data"
    data.mkdir(parents=True)
    (data / "b8:0").write_text("E:ID_MODEL=Example\n")
    (root / "var/log").mkdir()
    link(root / "run", target)
    host = Host(rootfs=str(root))
    hardware = diskstats.read_hardware(host, Row("sda", "8", "0", ()), host.udev_directory())
    assert hardware.udev == "E:ID_MODEL=Example\n"


def test_disks_without_udev_data_keep_their_counters(root: Path) -> None:
    (root / "proc").mkdir()
    (root / "proc/diskstats").write_text("   8       0 sda 1 0 8 0 0 0 0 0 0 0 0\n")
    collector = diskstats.Disks(Host(procfs=f"{root}/proc", sysfs=f"{root}/sys", rootfs=str(root)))
    assert [row for row, samples in collector.collect() if samples]
