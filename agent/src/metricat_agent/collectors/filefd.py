"""Open files, from ``/proc/sys/fs/file-nr`` (``man 5 proc``; not bound to a namespace)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

ALLOCATED = gauge("node_filefd_allocated", "File handles that the kernel has handed out.")
MAXIMUM = gauge("node_filefd_maximum", "File handles that the kernel will hand out at most.")


def read(host: Host) -> str:
    """Read the one line: allocated, free (always 0 since Linux 2.6), maximum."""
    return host.proc("sys/fs/file-nr")


def parse(text: str) -> Metrics:
    """Take the first and the last."""
    allocated, _, maximum = text.split()
    return [single(ALLOCATED, int(allocated)), single(MAXIMUM, int(maximum))]


class FileDescriptors(Collector):
    """How near the node is to having no file handle left."""

    name = "filefd"
    summary = "file handles allocated and their limit"
    families = (ALLOCATED, MAXIMUM)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
