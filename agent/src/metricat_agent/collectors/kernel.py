"""Single numbers of the kernel: entropy, tasks found hung, SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

ENTROPY = gauge("node_entropy_available_bits", "Entropy that the kernel holds, in bits.")
POOL = gauge("node_entropy_pool_size_bits", "Entropy that the kernel can hold, in bits.")
HUNG = counter("node_kernel_hung_tasks_total", "Tasks that the kernel found hung.")
SELINUX = gauge("node_selinux_enabled", "1 if SELinux is at work, else 0.")
SELINUX_MODE = gauge("node_selinux_current_mode", "1 if SELinux enforces, 0 if it only warns.")


class Entropy(Collector):
    """How much chance the kernel holds."""

    name = "entropy"
    summary = "entropy that the kernel holds"
    families = (ENTROPY, POOL)

    def collect(self) -> Metrics:
        """Read two files of one number each."""
        names = ("entropy_avail", "poolsize")
        return self.parse_if_changed([self.host.proc(f"sys/kernel/random/{name}") for name in names], parse_entropy)


def parse_entropy(texts: Iterable[str]) -> Metrics:
    """Take a number of each file."""
    return [single(family, int(text)) for family, text in zip((ENTROPY, POOL), texts, strict=True)]


class KernelHung(Collector):
    """Whether tasks hang in the kernel."""

    name = "kernel_hung"
    summary = "tasks that the kernel found hung (Linux 6.13 or newer)"
    families = (HUNG,)

    def collect(self) -> Metrics:
        """Read one number; older kernels do not count."""
        try:
            text = self.host.proc("sys/kernel/hung_task_detect_count")
        except FileNotFoundError:
            return []
        return [single(HUNG, int(text))]


class SeLinux(Collector):
    """Whether SELinux protects the node."""

    name = "selinux"
    summary = "whether SELinux is at work"
    families = (SELINUX, SELINUX_MODE)

    def collect(self) -> Metrics:
        """Look for its filesystem."""
        return self.parse_if_changed(read_selinux(self.host), parse_selinux)


def read_selinux(host: Host) -> Mapping[str, str]:
    """Read its mode; nothing where it is not at work."""
    try:
        return {"enforce": host.sys("fs/selinux/enforce")}
    except OSError:
        return {}


def parse_selinux(found: Mapping[str, str]) -> Metrics:
    """Tell whether it is there, and if so its mode."""
    if "enforce" not in found:
        return [single(SELINUX, 0)]
    return [single(SELINUX, 1), single(SELINUX_MODE, int(found["enforce"]))]
