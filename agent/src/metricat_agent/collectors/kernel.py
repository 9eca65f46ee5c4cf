"""Single numbers of the kernel: entropy, hung tasks, SELinux."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_part, whole
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

ENTROPY = gauge("node_entropy_available_bits", "Entropy available in the kernel, in bits.")
POOL = gauge("node_entropy_pool_size_bits", "Size of the kernel's entropy pool, in bits.")
HUNG = counter("node_kernel_hung_tasks_total", "Hung tasks detected by the kernel.")
SELINUX = gauge("node_selinux_enabled", "1 if SELinux is enabled, 0 if not.")
SELINUX_MODE = gauge("node_selinux_current_mode", "1 if SELinux is in enforcing mode, 0 if it is permissive.")


_RANDOM = "sys/kernel/random"
_ENTROPY = {"entropy_avail": ENTROPY, "poolsize": POOL}


class Entropy(Collector):
    """Entropy of the kernel."""

    name = "entropy"
    summary = "entropy available in the kernel"
    families = (ENTROPY, POOL)

    def collect(self) -> Metrics:
        """Return available entropy and pool size from /proc/sys/kernel/random."""
        texts = [self.host.optional_proc(f"{_RANDOM}/{name}") for name in _ENTROPY]
        return self.parse_parts_if_changed(texts, parse_entropy)


def parse_entropy(texts: Iterable[str | None], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the number of each existing file."""
    found: Metrics = []
    for (name, family), text in zip(_ENTROPY.items(), texts, strict=True):
        if text is not None and (number := parse_part(skips, f"{_RANDOM}/{name}", whole, text)) is not None:
            found.append(single(family, number))
    return found


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


_ENFORCE = "fs/selinux/enforce"


class SeLinuxFiles(NamedTuple):
    """Whether SELinux is enabled, and the text of its mode; None if the mode cannot be read."""

    enabled: bool
    enforce: str | None = None


class SeLinux(Collector):
    """State and mode of SELinux."""

    name = "selinux"
    summary = "state and mode of SELinux"
    families = (SELINUX, SELINUX_MODE)

    def collect(self) -> Metrics:
        """Return whether SELinux is enabled, and its mode, from /sys/fs/selinux/enforce."""
        return self.parse_parts_if_changed(read_selinux(self.host), parse_selinux)


def read_selinux(host: Host) -> SeLinuxFiles:
    """Return the text of /sys/fs/selinux/enforce, and whether it exists: it does not if SELinux is disabled."""
    try:
        return SeLinuxFiles(enabled=True, enforce=host.sys(_ENFORCE))
    except FileNotFoundError:
        return SeLinuxFiles(enabled=False)
    except OSError:
        return SeLinuxFiles(enabled=True)


def parse_selinux(found: SeLinuxFiles, skips: Skips = UNCOUNTED) -> Metrics:
    """Return whether SELinux is enabled, and its mode."""
    metrics = [single(SELINUX, int(found.enabled))]
    if found.enforce is not None and (mode := parse_part(skips, _ENFORCE, whole, found.enforce)) is not None:
        metrics.append(single(SELINUX_MODE, mode))
    return metrics
