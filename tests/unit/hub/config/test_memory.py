"""The default limit of samples follows the memory of the machine or of the container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.config.memory import default_samples

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.mark.parametrize(
    ("cgroup", "files", "samples"),
    [
        (
            "0::/pod/hub",
            {"sys/fs/cgroup/pod/memory.max": str(400 * MIB), "sys/fs/cgroup/pod/hub/memory.max": "max"},
            400,
        ),
        ("0::/", {"sys/fs/cgroup/memory.max": str(512 * MIB)}, 512),
        ("4:memory:/x\n3:cpu,cpuacct:/x", {"sys/fs/cgroup/memory/x/memory.limit_in_bytes": str(600 * MIB)}, 600),
        ("0::/", {"sys/fs/cgroup/memory.max": str(64 * MIB)}, 0),
    ],
)
def test_default_is_a_quarter_of_the_limit(tmp_path: Path, cgroup: str, files: dict[str, str], samples: int) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(cgroup + "\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert default_samples(tmp_path) == max(samples * MIB // 400, 1_000_000)


def test_default_without_a_container_is_bounded(tmp_path: Path) -> None:
    assert 1_000_000 <= default_samples(tmp_path) <= 50_000_000
