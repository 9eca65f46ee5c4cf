"""NVMe controllers and their namespaces, from ``/sys/class/nvme`` (kernel: drivers/nvme/host/sysfs.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

LABELS = ("device", "firmware_revision", "model", "serial", "state", "cntlid")
INFO = gauge("node_nvme_info", "1, labeled with the properties of an NVMe controller.", *LABELS)
_PLACE = ("device", "nsid")
NAMESPACE = gauge("node_nvme_namespace_info", "1, labeled with the state of an NVMe namespace.", *_PLACE, "ana_state")
CAPACITY = gauge("node_nvme_namespace_capacity_bytes", "Capacity of an NVMe namespace, in bytes.", *_PLACE)
SIZE = gauge("node_nvme_namespace_size_bytes", "Size of an NVMe namespace, in bytes.", *_PLACE)
USED = gauge("node_nvme_namespace_used_bytes", "Used part of an NVMe namespace, in bytes.", *_PLACE)
BLOCK = gauge(
    "node_nvme_namespace_logical_block_size_bytes", "Logical block size of an NVMe namespace, in bytes.", *_PLACE
)
_FILES = ("firmware_rev", "model", "serial", "state", "cntlid")
_NAMESPACE_FILES = ("nuse", "size", "queue/logical_block_size", "ana_state")
_SECTOR = 512
"""The unit of a block device's `size`, independent of its block size (kernel: ABI/stable/sysfs-block)."""


@dataclass(frozen=True, slots=True)
class NvmeController:
    """The files of one controller, and the files of its namespaces by number."""

    files: Mapping[str, str]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host) -> dict[str, NvmeController]:
    """Return the files of each controller. Skip a controller that is removed during the read."""
    try:
        entries = host.sys_names("class/nvme")
    except FileNotFoundError:
        return {}
    found = {}
    for entry in entries:
        place = f"class/nvme/{entry}"
        try:
            numbers = [match[1] for name in host.sys_names(place) if (match := re.fullmatch(r"nvme\d+n(\d+)", name))]
            found[entry] = NvmeController(
                host.sys_attributes(place, _FILES),
                {number: host.sys_attributes(f"{place}/{entry}n{number}", _NAMESPACE_FILES) for number in numbers},
            )
        except OSError:
            continue
    return found


def parse(controllers: Mapping[str, NvmeController]) -> Metrics:
    """Return properties of controllers and sizes of namespaces. Convert sectors and blocks to bytes."""
    infos: list[Sample] = []
    spaces: list[Sample] = []
    sizes: list[Sample] = []
    used: list[Sample] = []
    blocks: list[Sample] = []
    for device, controller in controllers.items():
        infos.append(((device, *(controller.files.get(file, "").strip() for file in _FILES)), 1))
        for number, files in controller.namespaces.items():
            place = (device, number)
            spaces.append(((*place, files.get("ana_state", "unknown")), 1))
            block = int(files["queue/logical_block_size"])
            blocks.append((place, block))
            sizes.append((place, int(files["size"]) * _SECTOR))
            if "nuse" in files:  # kernels since 6.8
                used.append((place, int(files["nuse"]) * block))
    return [(INFO, infos), (NAMESPACE, spaces), (CAPACITY, sizes), (SIZE, sizes), (USED, used), (BLOCK, blocks)]


class Nvme(Collector):
    """Properties of NVMe controllers and sizes of their namespaces."""

    name = "nvme"
    summary = "model, firmware and state of NVMe controllers, sizes of their namespaces"
    families = (INFO, NAMESPACE, CAPACITY, SIZE, USED, BLOCK)

    def collect(self) -> Metrics:
        """Return properties and namespace sizes of each NVMe controller from /sys/class/nvme."""
        return self.parse_if_changed(read(self.host), parse)
