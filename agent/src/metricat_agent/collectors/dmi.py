"""Vendor, model and firmware of the machine, from ``/sys/class/dmi/id``.

Kernel: ABI/testing/sysfs-devices-virtual-dmi-id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

LABELS = (
    *("bios_date", "bios_release", "bios_vendor", "bios_version"),
    *("board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version"),
    *("chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version"),
    *("product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version"),
    "system_vendor",
)
DMI = gauge("node_dmi_info", "1, labeled with the properties of the machine from its firmware.", *LABELS)


def read(host: Host) -> Mapping[str, str]:
    """Return the files that the agent may read. Only root may read serial numbers."""
    files = ["sys_vendor" if label == "system_vendor" else label for label in LABELS]
    return host.optional_attributes("class/dmi/id", files)


def parse(files: Mapping[str, str]) -> Metrics:
    """Return one series whose labels are the contents of the files."""
    if not files:
        return []
    known = {**files, "system_vendor": files.get("sys_vendor", "")}
    return [(DMI, [(tuple(known.get(label, "").strip(BLANKS) for label in LABELS), 1)])]


class Dmi(Collector):
    """Vendor, model and firmware of the machine."""

    name = "dmi"
    summary = "vendor, model and firmware of the machine"
    families = (DMI,)

    def collect(self) -> Metrics:
        """Return vendor, model and firmware of the machine from /sys/class/dmi/id."""
        return self.parse_if_changed(read(self.host), parse)
