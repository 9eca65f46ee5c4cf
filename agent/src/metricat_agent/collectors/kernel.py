"""Single numbers of the kernel: entropy, hung tasks, SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

ENTROPY = gauge("node_entropy_available_bits", "Entropy available in the kernel, in bits.")
POOL = gauge("node_entropy_pool_size_bits", "Size of the kernel's entropy pool, in bits.")
HUNG = counter("node_kernel_hung_tasks_total", "Hung tasks detected by the kernel.")
SELINUX = gauge("node_selinux_enabled", "1 if SELinux is enabled, 0 if not.")
SELINUX_MODE = gauge("node_selinux_current_mode", "1 if SELinux is in enforcing mode, 0 if it is permissive.")


class Entropy(Collector):
    """Entropy of the kernel."""

    name = "entropy"
    summary = "entropy available in the kernel"
    families = (ENTROPY, POOL)

    def collect(self) -> Metrics:
        """Return available entropy and pool size from /proc/sys/kernel/random."""
        names = ("entropy_avail", "poolsize")
        return self.parse_if_changed([self.host.proc(f"sys/kernel/random/{name}") for name in names], parse_entropy)


def parse_entropy(texts: Iterable[str]) -> Metrics:
    """Return the number of each file."""
    return [single(family, int(text)) for family, text in zip((ENTROPY, POOL), texts, strict=True)]


class KernelHung(Collector):
    """Hung tasks detected by the kernel."""

    name = "kernel_hung"
    summary = "hung tasks detected by the kernel (Linux 6.13 or newer)"
    families = (HUNG,)

    def collect(self) -> Metrics:
        """Return the number of hung tasks from /proc/sys/kernel/hung_task_detect_count, nothing on older kernels."""
        try:
            text = self.host.proc("sys/kernel/hung_task_detect_count")
        except FileNotFoundError:
            return []
        return [single(HUNG, int(text))]


class SeLinux(Collector):
    """State and mode of SELinux."""

    name = "selinux"
    summary = "state and mode of SELinux"
    families = (SELINUX, SELINUX_MODE)

    def collect(self) -> Metrics:
        """Return whether SELinux is enabled, and its mode, from /sys/fs/selinux/enforce."""
        return self.parse_if_changed(read_selinux(self.host), parse_selinux)


def read_selinux(host: Host) -> Mapping[str, str]:
    """Return the text of /sys/fs/selinux/enforce; nothing if SELinux is disabled."""
    try:
        return {"enforce": host.sys("fs/selinux/enforce")}
    except OSError:
        return {}


def parse_selinux(found: Mapping[str, str]) -> Metrics:
    """Return whether SELinux is enabled, and its mode."""
    if "enforce" not in found:
        return [single(SELINUX, 0)]
    return [single(SELINUX, 1), single(SELINUX_MODE, int(found["enforce"]))]
