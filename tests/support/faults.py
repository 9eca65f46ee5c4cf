"""Real faults, each small, bounded and reverted: in a pod of their own, and in filesystems in files."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_tools.cluster.node import ClusterNode
    from metricat_tools.stack import Kubectl

SECONDS = 600
"""Each fault in a pod ends automatically after this time."""
MEBIBYTES = 768
"""Large enough that other changes of memory during the test are small in comparison."""
FILES = 45_000

# Each container sets the name of its process, which alerts report.
_START = f"""
import os, signal, time
signal.alarm({SECONDS})
def called(name):
    with open("/proc/self/comm", "w") as comm:
        comm.write(name)
"""
FAULTY_PROCESSES = {
    "cpu-burner": """called('cpu-burner')
for _ in range(os.cpu_count()):
    if os.fork() == 0:
        signal.alarm(SECONDS)
        break
while True:
    pass
""".replace("SECONDS", str(SECONDS)),
    "memory-consumer": f"called('memory-consumer')\nheld = b'x' * ({MEBIBYTES} << 20)\ntime.sleep({SECONDS})\n",
    # Many processes, because each may open only a thousand files.
    "open-files": f"""called('open-files')
for _ in range({FILES // 900}):
    if os.fork() == 0:
        signal.alarm({SECONDS})
        held = [open('/dev/null') for _ in range(900)]
        time.sleep({SECONDS})
time.sleep({SECONDS})
""",
    "oom-victim": "called('oom-victim')\ntime.sleep(15)\nheld = b'x' * (200 << 20)\n",
}
_LIMITS = {"memory-consumer": f"{MEBIBYTES + 64}Mi", "open-files": "512Mi", "oom-victim": "48Mi", "cpu-burner": "64Mi"}


def pod(image: str, node: str, namespace: str) -> dict[str, Any]:
    """Return the pod that runs the faulty processes on this node."""

    def container(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", _START + FAULTY_PROCESSES[name]],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": _LIMITS[name]}},
        }

    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "faults", "namespace": namespace},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": SECONDS,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65534},
            "containers": [container(name) for name in FAULTY_PROCESSES],
        },
    }


@dataclass(frozen=True)
class Volume:
    """A filesystem of a few MiB in a file, mounted on the machine and on one of its nodes."""

    mountpoint: Path

    def fill(self) -> None:
        """Use all its space."""
        with suppress(OSError), (self.mountpoint / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 16))

    def exhaust_inodes(self) -> None:
        """Use all its inodes."""
        with suppress(OSError):
            for number in range(1000):
                (self.mountpoint / f"f{number}").touch()

    def remount_read_only(self) -> None:
        """Remount it read-only, as the kernel does after a disk error."""
        self._remount("ro")

    def repair(self) -> None:
        """Revert all faults."""
        self._remount("rw")
        for path in self.mountpoint.iterdir():
            if path.is_file():
                path.unlink()

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self.mountpoint], check=True)


@contextmanager
def volumes(node: ClusterNode, *names: str) -> Iterator[list[Volume]]:
    """Mount a volume of each name in the mount namespaces of the machine, whose table agents read, and of the node."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="metricat-faults-", dir="/var/tmp")))
        folder.chmod(0o755)  # agents run as nobody
        yield [stack.enter_context(_volume(node, folder, name)) for name in names]


@contextmanager
def _volume(node: ClusterNode, folder: Path, name: str) -> Iterator[Volume]:
    file, mountpoint = folder / f"{name}.img", folder / name
    mountpoint.mkdir()
    with file.open("wb") as image:
        image.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", "64", file], check=True)
    with ExitStack() as stack:
        subprocess.run(["mount", "-o", "loop", file, mountpoint], check=True)
        stack.callback(_unmount, mountpoint)
        device = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", mountpoint], text=True).strip()
        node.run("mount", device, str(mountpoint))
        stack.callback(node.run, "umount", "--lazy", str(mountpoint))
        yield Volume(mountpoint)


def _unmount(mountpoint: Path) -> None:
    subprocess.run(["umount", "--lazy", mountpoint], check=True)


def kill_agent(kubectl: Kubectl, node: ClusterNode, namespace: str) -> None:
    """Kill the node's agent, if it runs now."""
    query = ("pods", "--namespace", namespace, "--selector=app.kubernetes.io/component=agent")
    for one in kubectl.items(*query, f"--field-selector=spec.nodeName={node.name}"):
        for container in one["status"].get("containerStatuses", []):
            identity = container.get("containerID", "").rpartition("/")[2]
            for line in node.ctr("tasks", "list").splitlines():
                if identity and line.startswith(identity) and "RUNNING" in line:
                    with suppress(ProcessLookupError):
                        os.kill(int(line.split()[1]), signal.SIGKILL)
