"""Control groups of both versions, on trees of ordinary files in place of the kernel's."""

from pathlib import Path

import pytest

from metricat_tools.cluster import cgroups
from metricat_tools.cluster.cgroups import Hierarchy
from metricat_tools.errors import ToolError

V1 = """\
30 25 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpuset rw,relatime shared:7 - cgroup cgroup rw,cpuset
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the files of a new control group to every new folder, as the kernel does."""
    plain = Path.mkdir

    def mkdir(self: Path, *arguments: object, **options: object) -> None:
        new = not self.exists()
        plain(self, *arguments, **options)  # type: ignore[arg-type] # passed on
        if new and (self.parent / "cgroup.controllers").exists():
            fill(self, (self.parent / "cgroup.subtree_control").read_text())
        if new and (self.parent / "cpuset.cpus").exists():
            (self / "cpuset.cpus").write_text("\n")
            (self / "cpuset.mems").write_text("\n")

    monkeypatch.setattr(Path, "mkdir", mkdir)


def fill(group: Path, controllers: str) -> None:
    (group / "cgroup.controllers").write_text(controllers.replace("+", ""))
    (group / "cgroup.subtree_control").write_text("")
    (group / "cgroup.procs").write_text("")


@pytest.mark.parametrize(
    ("mountinfo", "expected"),
    [
        (V1, [("/sys/fs/cgroup/cpuset", False), ("/sys/fs/cgroup/unified", True)]),
        (V2, [("/sys/fs/cgroup", True)]),
    ],
)
def test_mounted_trees_are_found(mountinfo: str, expected: list[tuple[str, bool]]) -> None:
    assert [(str(one.path), one.unified) for one in cgroups.hierarchies(mountinfo)] == expected


@pytest.mark.usefixtures("kernel")
def test_version_2_enables_every_controller_down_to_the_kubelets_group(tmp_path: Path) -> None:
    fill(tmp_path, "cpuset cpu io memory pids")
    cgroups.create("metricat/c/n1", [Hierarchy(tmp_path, unified=True)])
    for group in (tmp_path, tmp_path / "metricat", tmp_path / "metricat/c", tmp_path / "metricat/c/n1"):
        assert (group / "cgroup.subtree_control").read_text() == "+cpu +cpuset +io +memory +pids"


@pytest.mark.usefixtures("kernel")
def test_version_2_enables_only_missing_controllers(tmp_path: Path) -> None:
    fill(tmp_path, "cpu memory")
    (tmp_path / "cgroup.subtree_control").write_text("cpu memory\n")
    cgroups.create("metricat", [Hierarchy(tmp_path, unified=True)])
    assert (tmp_path / "cgroup.subtree_control").read_text() == "cpu memory\n"


def test_version_2_error_in_a_container_has_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "cpu")
    busy = OSError(16, "Device or resource busy")

    def refuse(*_: object) -> int:
        raise busy

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(ToolError, match=r"does not accept controllers \(Device or resource busy\).*child group"):
        cgroups.create("metricat", [Hierarchy(tmp_path, unified=True)])


@pytest.mark.usefixtures("kernel")
def test_cpuset_of_version_1_inherits_processors_and_memory(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus").write_text("0-3\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    cgroups.create("metricat/c/n1", [Hierarchy(tmp_path, unified=False)])
    assert (tmp_path / "metricat/c/n1/cpuset.cpus").read_text() == "0-3\n"
    assert (tmp_path / "metricat/c/n1/cpuset.mems").read_text() == "0\n"


def test_removal_keeps_empty_groups_of_other_clusters(tmp_path: Path) -> None:
    tree = [Hierarchy(tmp_path, unified=False)]
    (tmp_path / "metricat/one/n1/kubepods/burstable").mkdir(parents=True)
    (tmp_path / "metricat/two/n1").mkdir(parents=True)
    cgroups.remove("metricat/one", tree)
    assert [path.name for path in (tmp_path / "metricat").iterdir()] == ["two"]
    assert (tmp_path / "metricat/two/n1").exists()
    cgroups.remove("metricat/two", tree)
    assert list(tmp_path.iterdir()) == []


def test_error_names_the_remedy_without_a_mounted_tree() -> None:
    with pytest.raises(ToolError, match="Mount cgroup2"):
        cgroups.create("metricat", [])
