"""Name and kernel of the node, from uname(2).

The kernel is the host's in every container; the node name is the reader's own (its UTS namespace), so a pod is told
the node's in NODE_NAME.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

INFO = gauge(
    "node_uname_info",
    "1, labelled with what uname(2) says of the node.",
    "sysname",
    "release",
    "version",
    "machine",
    "nodename",
    "domainname",
)


def read(host: Host) -> tuple[os.uname_result, str]:
    """Ask the kernel; Python's uname lacks the NIS domain, which /proc has (like uname(2), the reader's own)."""
    return os.uname(), host.proc("sys/kernel/domainname").strip()


def parse(uname: os.uname_result, domain: str, node_name: str) -> Metrics:
    """Put the node's name, if known, in the place of the container's."""
    labels = (uname.sysname, uname.release, uname.version, uname.machine, node_name or uname.nodename, domain)
    return [(INFO, [(labels, 1)])]


class Uname(Collector):
    """Which kernel runs, on which node."""

    name = "uname"
    summary = "kernel release, machine and node name"
    essential = True
    families = (INFO,)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found, self.host.node_name))
