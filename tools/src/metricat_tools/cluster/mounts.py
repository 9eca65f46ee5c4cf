"""A node's filesystems: those of the machine, except a few folders that nodes must not share.

Each node has its own mount namespace. All mounts of kubelet and containerd end with the node's last process. Later
mounts of the machine appear in the namespace if the machine shares its mounts, and `HostToContainer` works inside.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from metricat_tools.cluster.processes import ClusterProcesses, Namespaces
from metricat_tools.cluster.state import State, names, root

# Folders with fixed paths in containerd, its shims and kubelet.
PRIVATE = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
# Settings that kubelet would change for the whole machine, with the values that it requires.
_TUNABLES = {
    "vm/overcommit_memory": "1",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_MADE = "made-folders"


def prepare(processes: ClusterProcesses, node: Namespaces, folder: Path) -> None:
    """Give the node mounts of its own: all processes of the node share them, and the machine does not see them."""
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
        processes.run(["sh", "-c", "\n".join(script)], node)


def forget(state: State) -> None:
    """After the last cluster, remove the mount points that were created on the machine."""
    made = root() / _MADE
    if not made.exists():
        return
    with _alone():
        if any((root() / name / "nodes").exists() for name in names() if name != state.name):
            return
        for line in reversed(made.read_text().splitlines()):
            with contextlib.suppress(OSError):  # not empty: another program uses it
                Path(line).rmdir()
        made.unlink()


def unmount_below(processes: ClusterProcesses) -> None:
    """Unmount everything below the cluster's folder in this mount namespace, the deepest first."""
    points = [line.split()[1].encode().decode("unicode_escape") for line in _mounts()]
    for point in sorted((point for point in points if Path(point).is_relative_to(processes.folder)), reverse=True):
        processes.run(["umount", "--lazy", point])


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
    """Hold a lock: a folder must not be removed between the check and the mount."""
    descriptor = os.open(root(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
