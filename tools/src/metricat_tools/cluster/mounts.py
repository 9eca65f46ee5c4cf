"""A node's view of the file system: the machine's own, with a few folders that no two nodes may share.

It is a mount namespace of the node: whatever kubelet and containerd mount is gone with the node's last process. What
the machine mounts later shows in it where the machine shares its mounts, and `HostToContainer` works inside of it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metricat_tools.cluster.processes import Namespaces, run
from metricat_tools.cluster.state import State, names, root

# Folders whose paths containerd, its shims and kubelet have built in.
PRIVATE = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
# What kubelet would change for the whole machine, with the values it wants to see.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_MADE = "made-folders"


def prepare(node: Namespaces, folder: Path) -> None:
    """Make the node's mounts its own: shared among its processes, hidden from the machine."""
    tunables = folder / "sysctl"
    script = ["set -e", "mount --make-rshared /"]
    script += [f"mount -t tmpfs -o mode=755 metricat {private}" for private in PRIVATE]
    for name, value in _TUNABLES.items():
        real, ours = Path("/proc/sys") / name, tunables / name
        if real.exists():
            ours.parent.mkdir(parents=True, exist_ok=True)
            ours.write_text(f"{value}\n")
            script.append(f"mount --bind {ours} {real}")
    with _alone():
        _make_folders()
        run(["sh", "-c", "\n".join(script)], node)


def forget(state: State) -> None:
    """After the last cluster, remove the folders that were made on the machine to mount upon."""
    made = root() / _MADE
    if not made.exists():
        return
    with _alone():
        if any((root() / name / "nodes").exists() for name in names() if name != state.name):
            return
        for line in reversed(made.read_text().splitlines()):
            with contextlib.suppress(OSError):  # not empty: somebody else uses it by now
                Path(line).rmdir()
        made.unlink()


def unmount_below(folder: Path) -> None:
    """Unmount what is mounted below a folder in this mount namespace, the deepest first."""
    points = [line.split()[1].encode().decode("unicode_escape") for line in _mounts()]
    for point in sorted((point for point in points if Path(point).is_relative_to(folder)), reverse=True):
        run(["umount", "--lazy", point])


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


def _make_folders() -> None:
    for private in PRIVATE:
        for path in (*reversed(Path(private).parents), Path(private)):
            if not path.exists():
                with (root() / _MADE).open("a") as made:
                    made.write(f"{path}\n")
                path.mkdir()


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time: a folder must not vanish between the look and the mount."""
    descriptor = os.open(root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
