"""The mount table, and the check that a path leads to the mount whose size is read."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.collectors import Filter, filesystem
from metricat_agent.config.settings import parse as parse_settings
from metricat_agent.host.mountinfo import all_mounts, unescape, visible_mounts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from metricat_agent.exposition.model import Metrics
    from metricat_agent.host.hostfs import Host


def line(identity: int, parent: int, path: str, device: str = "0:1", fstype: str = "tmpfs") -> str:
    return f"{identity} {parent} {device} / {path} rw shared:1 - {fstype} {fstype} rw\n"


def paths(*lines: str) -> list[tuple[int, str]]:
    return [(mount.identity, mount.mount_point) for mount in visible_mounts("".join(lines))]


def test_fields_of_a_recorded_table_are_parsed(host: Host) -> None:
    mounts = {mount.mount_point: mount for mount in all_mounts(host.pid1("mountinfo"))}
    share = mounts["/mnt/with blank\\and\ttab"]
    assert (share.source, share.fstype, share.major, share.minor, share.read_only) == (
        "filer:/vol one",
        "nfs4",
        0,
        41,
        True,
    )
    assert mounts["/unnamed"].source == ""
    assert mounts["/broken"].read_only, "the whole filesystem is read-only"
    assert not mounts["/data"].read_only


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_octal_escapes_are_replaced(name: str) -> None:
    escaped = "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in name)
    assert unescape(escaped) == name


def test_parent_may_follow_its_children_in_the_table() -> None:
    assert paths(line(5, 9, "/proc"), line(9, 1, "/")) == [(5, "/proc"), (9, "/")]


def test_upper_of_two_mounts_on_one_path_is_visible() -> None:
    assert paths(line(1, 0, "/"), line(2, 1, "/x"), line(3, 2, "/x")) == [(1, "/"), (3, "/x")]


def test_mount_below_a_covered_directory_is_not_visible() -> None:
    lines = (line(1, 0, "/"), line(2, 1, "/a/b"), line(3, 2, "/a/b/c"), line(4, 1, "/a"))
    assert paths(*lines) == [(1, "/"), (4, "/a")]


def test_mount_below_a_covered_root_is_not_visible() -> None:
    assert paths(line(1, 1, "/"), line(2, 1, "/a"), line(3, 1, "/"), line(4, 3, "/b")) == [(3, "/"), (4, "/b")]


def test_mounts_with_a_common_name_prefix_do_not_cover_each_other() -> None:
    assert len(paths(line(1, 0, "/"), line(2, 1, "/a"), line(3, 1, "/ab"), line(4, 1, "/a/b"))) == 3


def test_stack_of_thousands_of_mounts_needs_no_recursion() -> None:
    tower = [line(number, number - 1, "/x") for number in range(2, 5000)]
    assert paths(line(1, 0, "/"), *tower) == [(1, "/"), (4999, "/x")]


@pytest.fixture
def node(tmp_path: Path, host: Host) -> Host:
    """A host whose root is a temporary directory, and whose mounts are all on one device."""
    for name in ("data", "gone"):
        (tmp_path / "root" / name).mkdir(parents=True)
    (tmp_path / "proc" / "1").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mountinfo").write_text("")
    (tmp_path / "root" / "gone").rmdir()
    return replace(host, procfs=str(tmp_path / "proc"), rootfs=str(tmp_path / "root"), self_proc=str(tmp_path / "own"))


def device_here(node: Host) -> str:
    number = os.stat(node.rootfs).st_dev  # noqa: PTH116 -- the call that is tested
    return f"{os.major(number)}:{os.minor(number)}"


def collected(node: Host, *lines: str, filters: Mapping[str, Filter] | None = None) -> Metrics:
    with open(f"{node.procfs}/1/mountinfo", "w") as table:  # noqa: PTH123 -- Host holds texts
        table.writelines(lines)
    return filesystem.Filesystems(node, filters).collect()


def value(metrics: Metrics, name: str) -> dict[str, float]:
    return {labels[1]: number for family, samples in metrics if family.name == name for labels, number in samples}


def test_mount_on_the_device_of_the_table_has_a_size(node: Host) -> None:
    metrics = collected(node, line(1, 0, "/", device_here(node)), line(2, 1, "/data", device_here(node)))
    truth = os.statvfs(node.rootfs)
    assert value(metrics, "node_filesystem_size_bytes") == dict.fromkeys(
        ("/", "/data"), truth.f_blocks * truth.f_frsize
    )
    assert value(metrics, "node_filesystem_files") == dict.fromkeys(("/", "/data"), truth.f_files)
    assert value(metrics, "node_filesystem_device_error") == {"/": 0, "/data": 0}


def test_mount_that_did_not_propagate_has_an_error_and_no_size(node: Host) -> None:
    metrics = collected(node, line(1, 0, "/", device_here(node)), line(2, 1, "/data", "77:7"))
    assert value(metrics, "node_filesystem_device_error") == {"/": 0, "/data": 1}
    assert set(value(metrics, "node_filesystem_size_bytes")) == {"/"}
    assert set(value(metrics, "node_filesystem_readonly")) == {"/", "/data"}


def test_unreachable_mount_has_an_error(node: Host) -> None:
    assert value(collected(node, line(2, 1, "/gone", "77:7")), "node_filesystem_device_error") == {"/gone": 1}


def test_btrfs_subvolume_with_its_own_device_number_has_a_size(node: Host) -> None:
    with open(f"{node.self_proc}/mountinfo", "w") as table:  # noqa: PTH123 -- Host holds texts
        table.write(line(8, 7, f"{node.rootfs}/data", "0:40", "btrfs"))
    metrics = collected(node, line(2, 1, "/data", "0:40", "btrfs"))
    assert value(metrics, "node_filesystem_device_error") == {"/data": 0}
    assert value(metrics, "node_filesystem_size_bytes")["/data"] > 0


def test_btrfs_that_did_not_propagate_has_an_error(node: Host) -> None:
    metrics = collected(node, line(2, 1, "/data", "0:40", "btrfs"))
    assert value(metrics, "node_filesystem_device_error") == {"/data": 1}


def test_mounts_without_storage_are_excluded_by_default(host: Host) -> None:
    given = parse_settings([], {}, {"filesystem": filesystem.Filesystems}).collectors["filesystem"].filters
    points, types = given["mount-points-exclude"], given["fs-types-exclude"]
    kept = [
        mount.mount_point
        for mount in visible_mounts(host.pid1("mountinfo"))
        if points.keeps(mount.mount_point) and types.keeps(mount.fstype)
    ]
    assert kept == ["/", "/data", "/home", "/mnt/with blank\\and\ttab", "/broken", "/unnamed"]
    assert not points.keeps("/var/lib/kubelet/pods")
    assert points.keeps("/var/lib/kubelet")
    assert points.keeps("/process")


def test_filters_select_mount_points_and_types(node: Host) -> None:
    here = device_here(node)
    lines = (line(1, 0, "/", here), line(2, 1, "/data", here, "xfs"), line(3, 1, "/gone", here, "xfs"))
    types, points = Filter(include=re.compile("^xfs$")), Filter(exclude=re.compile("^/gone"))
    metrics = collected(node, *lines, filters={"fs-types-exclude": types, "mount-points-exclude": points})
    assert set(value(metrics, "node_filesystem_readonly")) == {"/data"}
