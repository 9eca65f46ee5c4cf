"""Bonded links, from ``/sys/class/net`` (kernel: networking/bonding.rst). The trap of `netclass` holds here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

SLAVES = gauge("node_bonding_slaves", "Links that a bond should have.", "master")
ACTIVE = gauge("node_bonding_active", "Links of a bond that are up.", "master")


def read(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Read the state of each link of each bond that the host's process 1 sees."""
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
    """Return whether each link of a bond is up, as the bond sees it."""
    found = {}
    for link in host.sys_attributes(f"class/net/{master}/bonding", ("slaves",)).get("slaves", "").split():
        place = f"class/net/{master}/lower_{link}"
        known = host.sys_attributes(f"{place}/bonding_slave", ("mii_status",))
        found[link] = known.get("mii_status", "down")
    return found


def parse(bonds: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Count links."""
    return [
        (SLAVES, [((master,), len(states)) for master, states in bonds.items()]),
        (ACTIVE, [((master,), sum(state == "up" for state in states.values())) for master, states in bonds.items()]),
    ]


class Bonds(Collector):
    """Whether bonded links have lost one."""

    name = "bonding"
    summary = "links of bonds, and how many are up"
    families = (SLAVES, ACTIVE)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host), parse)
