"""Name and kernel of the node, from uname(2).

In every container the kernel is the host's. uname(2) returns the name in the reader's UTS namespace. So the agent in a
pod takes the node's name from NODE_NAME.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

INFO = gauge(
    "node_uname_info",
    "1, labeled with the node's kernel and name from uname(2).",
    "sysname",
    "release",
    "version",
    "machine",
    "nodename",
    "domainname",
)


def read(host: Host) -> tuple[os.uname_result, str]:
    """Return the result of uname(2), and the NIS domain, which Python's uname lacks, from /proc."""
    return os.uname(), (host.optional_proc("sys/kernel/domainname") or "").strip(BLANKS)


def parse(uname: os.uname_result, domain: str, node_name: str) -> Metrics:
    """Return one series with kernel and node name. A known node name replaces the container's host name."""
    labels = (uname.sysname, uname.release, uname.version, uname.machine, node_name or uname.nodename, domain)
    return [(INFO, [(labels, 1)])]


class Uname(Collector):
    """Kernel and name of the node."""

    name = "uname"
    summary = "kernel release, machine and node name"
    essential = True
    families = (INFO,)

    def collect(self) -> Metrics:
        """Return kernel, machine and node name from uname(2)."""
        return self.parse_if_changed(read(self.host), lambda found: parse(*found, self.host.node_name))
