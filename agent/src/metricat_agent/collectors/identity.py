"""What the hardware is: the machine (``/sys/class/dmi/id``) and its NVMe controllers (``/sys/class/nvme``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.families import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host import Host

DMI_LABELS = (
    *("bios_date", "bios_release", "bios_vendor", "bios_version"),
    *("board_asset_tag", "board_name", "board_serial", "board_vendor", "board_version"),
    *("chassis_asset_tag", "chassis_serial", "chassis_vendor", "chassis_version"),
    *("product_family", "product_name", "product_serial", "product_sku", "product_uuid", "product_version"),
    "system_vendor",
)
DMI = gauge("node_dmi_info", "1, labelled with what the firmware says of the machine.", *DMI_LABELS)
NVME_LABELS = ("device", "firmware_revision", "model", "serial", "state", "cntlid")
NVME = gauge("node_nvme_info", "1, labelled with what an NVMe controller says of itself.", *NVME_LABELS)
_NVME_FILES = ("firmware_rev", "model", "serial", "state", "cntlid")


def read_dmi(host: Host) -> Mapping[str, str]:
    """Read what may be read: serial numbers are for root alone."""
    files = ["sys_vendor" if label == "system_vendor" else label for label in DMI_LABELS]
    try:
        return host.sys_attributes("class/dmi/id", files)
    except OSError:
        return {}


def parse_dmi(files: Mapping[str, str]) -> Metrics:
    """Make labels of the files."""
    if not files:
        return []
    known = {**files, "system_vendor": files.get("sys_vendor", "")}
    return [(DMI, [(tuple(known.get(label, "").strip() for label in DMI_LABELS), 1)])]


def read_nvme(host: Host) -> Mapping[str, Mapping[str, str]]:
    """Read the files of each controller; none where there are none."""
    try:
        entries = host.sys_names("class/nvme")
    except FileNotFoundError:
        return {}
    found = {}
    for entry in entries:
        try:
            found[entry] = host.sys_attributes(f"class/nvme/{entry}", _NVME_FILES)
        except OSError:
            continue
    return found


def parse_nvme(controllers: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Make labels of the files."""
    return [
        (
            NVME,
            [
                ((name, *(files.get(file, "").strip() for file in _NVME_FILES)), 1)
                for name, files in controllers.items()
            ],
        )
    ]


class Dmi(Collector):
    """Who made the machine."""

    name = "dmi"
    summary = "maker, model and firmware of the machine"
    families = (DMI,)

    def collect(self) -> Metrics:
        """Read and parse."""
        return parse_dmi(read_dmi(self.host))


class Nvme(Collector):
    """Which NVMe controllers there are."""

    name = "nvme"
    summary = "model, firmware and state of NVMe controllers"
    families = (NVME,)

    def collect(self) -> Metrics:
        """Read and parse."""
        return parse_nvme(read_nvme(self.host))
