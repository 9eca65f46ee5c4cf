"""Bonded links, from ``/sys/class/net`` (kernel: networking/bonding.rst).

As in `netclass`, the mount of sysfs may show another network namespace than the host's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, device_names
from metricat_agent.exposition.model import Metrics, Sample, gauge
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

SLAVES = gauge("node_bonding_slaves", "Number of links configured for a bond.", "master")
ACTIVE = gauge("node_bonding_active", "Number of links of a bond that are up.", "master")


_LINKS = ("class/net/{master}/lower_{link}", "class/net/{master}/slave_{link}", "class/net/{link}")
"""Paths to a link of a bond. Kernels before 3.13 name the first ``slave_``."""
_STATUS = re.compile(r"^Slave Interface: (.+)\nMII Status: (.+)$", re.MULTILINE)


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Return the state of each link by bond, for the bonds in the network namespace of the host's process 1."""
    names = host.optional_sys("class/net/bonding_masters")
    if not names:
        return {}
    seen = device_names(host.pid1("net/dev"))
    found = {}
    for master in words_of(names):
        if master in seen:
            try:
                found[master] = links(host, master)
            except OSError:  # the bond was removed during the read; other errors are counted
                continue
    return found


def links(host: Host, master: str) -> Mapping[str, str]:
    """Return the MII status (up, down, ...) of each link of a bond; empty for a link whose status is unknown."""
    names = words_of(host.sys_attributes(f"class/net/{master}/bonding", ("slaves",)).get("slaves", ""))
    found = {link: _status(host, master, link) for link in names}
    if "" in found.values():  # kernels before 3.14 have no status in sysfs
        table = host.optional_pid1(f"net/bonding/{master}") or ""
        found = {**found, **{link: status for link, status in _STATUS.findall(table) if found.get(link) == ""}}
    return found


def _status(host: Host, master: str, link: str) -> str:
    """Return the status of a link from the first path that has one; empty if none has."""
    for path in _LINKS:
        place = f"{path.format(master=master, link=link)}/bonding_slave"
        if status := host.optional_attributes(place, ("mii_status",)).get("mii_status"):
            return status
    return ""


def parse(bonds: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the number of links of each bond, and of those that are up if the status of all is known."""
    active: list[Sample] = []
    for master, states in bonds.items():
        unknown = [link for link, state in states.items() if not state]
        if not unknown:
            active.append(((master,), sum(state == "up" for state in states.values())))
        for link in unknown:
            skips.add("missing", f"class/net/{master}/lower_{link}/bonding_slave/mii_status")
    return [(SLAVES, [((master,), len(states)) for master, states in bonds.items()]), (ACTIVE, active)]


class Bonds(Collector):
    """Number of configured and active links of bonds."""

    name = "bonding"
    summary = "configured and active links of bonds"
    families = (SLAVES, ACTIVE)

    def collect(self) -> Metrics:
        """Return the number of configured and active links per bond from /sys/class/net."""
        return self.parse_parts_if_changed(read(self.host), parse)
