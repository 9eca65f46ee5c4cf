"""NVMe controllers and their namespaces, from ``/sys/class/nvme`` (kernel: drivers/nvme/host/sysfs.c)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Metrics, Sample, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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
_NAMESPACE = re.compile(r"nvme\d+(?:c\d+)?n(\d+)")
"""The name of a namespace. Its first number is that of the subsystem, which may differ from the controller's. With
multipath, the number of the controller follows (kernel: drivers/nvme/host/multipath.c)."""
_SECTOR = 512
"""The unit of a block device's `size`, independent of its block size (kernel: ABI/stable/sysfs-block)."""


@dataclass(frozen=True, slots=True)
class NvmeController:
    """The files of one controller, and the files of its namespaces by number."""

    files: Mapping[str, str]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host) -> dict[str, NvmeController]:
    """Return the files of each controller. Skip a controller that is removed during the read."""
    return host.sys_each("class/nvme", lambda entry: _controller(host, f"class/nvme/{entry}"))


def _controller(host: Host, place: str) -> NvmeController:
    """Return one controller. Each namespace is optional: it may be removed during the read."""
    found: dict[str, Mapping[str, str]] = {}
    for name in host.sys_names(place):
        if match := _NAMESPACE.fullmatch(name):
            files = host.optional_attributes(f"{place}/{name}", _NAMESPACE_FILES)
            before = found.get(match[1])  # some kernels show a namespace under both names
            found[match[1]] = {**before, **files} if before else files
    return NvmeController(host.sys_attributes(place, _FILES), found)


def parse(controllers: Mapping[str, NvmeController], skips: Skips = UNCOUNTED) -> Metrics:
    """Return properties of controllers and sizes of namespaces. Convert sectors and blocks to bytes."""
    infos: list[Sample] = []
    spaces: list[Sample] = []
    sizes: list[Sample] = []
    used: list[Sample] = []
    blocks: list[Sample] = []
    for device, controller in controllers.items():
        infos.append(((device, *(controller.files.get(file, "").strip(BLANKS) for file in _FILES)), 1))
        for number, files in controller.namespaces.items():
            place, path = (device, number), f"class/nvme/{device} namespace {number}"
            spaces.append(((*place, files.get("ana_state", "unknown")), 1))
            block = parse_file(skips, files, "queue/logical_block_size", path, whole)
            size = parse_file(skips, files, "size", path, whole)
            blocks_used = parse_file(skips, files, "nuse", path, whole)  # kernels since 6.8
            if block is not None:
                blocks.append((place, block))
            if size is not None:
                sizes.append((place, size * _SECTOR))
            if blocks_used is not None and block is not None:
                used.append((place, blocks_used * block))
    return [(INFO, infos), (NAMESPACE, spaces), (CAPACITY, sizes), (SIZE, sizes), (USED, used), (BLOCK, blocks)]


class Nvme(Collector):
    """Properties of NVMe controllers and sizes of their namespaces."""

    name = "nvme"
    summary = "model, firmware and state of NVMe controllers, sizes of their namespaces"
    families = (INFO, NAMESPACE, CAPACITY, SIZE, USED, BLOCK)

    def collect(self) -> Metrics:
        """Return properties and namespace sizes of each NVMe controller from /sys/class/nvme."""
        return self.parse_parts_if_changed(read(self.host), parse)
