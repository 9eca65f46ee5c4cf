"""Open files, from ``/proc/sys/fs/file-nr`` (``man 5 proc``; the same in all namespaces)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

ALLOCATED = gauge("node_filefd_allocated", "File handles allocated by the kernel.")
MAXIMUM = gauge("node_filefd_maximum", "Maximum number of file handles.")


def read(host: Host) -> str:
    """Return the line of file-nr: allocated, free (always 0 since Linux 2.6), maximum."""
    return host.proc("sys/fs/file-nr")


def parse(text: str) -> Metrics:
    """Return the allocated handles and their maximum."""
    allocated, _, maximum = text.split()
    return [single(ALLOCATED, int(allocated)), single(MAXIMUM, int(maximum))]


class FileDescriptors(Collector):
    """Allocated file handles and their limit."""

    name = "filefd"
    summary = "file handles allocated and their limit"
    families = (ALLOCATED, MAXIMUM)

    def collect(self) -> Metrics:
        """Return the allocated file handles and their limit from /proc/sys/fs/file-nr."""
        return self.parse_if_changed(read(self.host), parse)
