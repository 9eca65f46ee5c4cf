"""Bonded links, from ``/sys/class/net`` (kernel: networking/bonding.rst).

As in `netclass`, the mount of sysfs may show another network namespace than the host's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

SLAVES = gauge("node_bonding_slaves", "Links that are configured for a bond.", "master")
ACTIVE = gauge("node_bonding_active", "Links of a bond that are up.", "master")


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Return the state of each link by bond, for the bonds in the network namespace of the host's process 1."""
    try:
        masters = host.sys_names("class/net")
        if "bonding_masters" not in masters:
            return {}
        masters = host.sys("class/net/bonding_masters").split()
    except FileNotFoundError:
        return {}
    seen = {line.rpartition(":")[0].strip(" ") for line in host.pid1("net/dev").split("\n")[2:]}
    return {master: links(host, master) for master in masters if master in seen}


def links(host: Host, master: str) -> Mapping[str, str]:
    """Return the MII status (up, down, ...) of each link of a bond."""
    found = {}
    for link in host.sys_attributes(f"class/net/{master}/bonding", ("slaves",)).get("slaves", "").split():
        place = f"class/net/{master}/lower_{link}"
        known = host.sys_attributes(f"{place}/bonding_slave", ("mii_status",))
        found[link] = known.get("mii_status", "down")
    return found


def parse(bonds: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Return the number of links of each bond, and of those that are up."""
    return [
        (SLAVES, [((master,), len(states)) for master, states in bonds.items()]),
        (ACTIVE, [((master,), sum(state == "up" for state in states.values())) for master, states in bonds.items()]),
    ]


class Bonds(Collector):
    """Number of configured and active links of bonds."""

    name = "bonding"
    summary = "configured and active links of bonds"
    families = (SLAVES, ACTIVE)

    def collect(self) -> Metrics:
        """Return the number of configured and active links per bond from /sys/class/net."""
        return self.parse_if_changed(read(self.host), parse)
