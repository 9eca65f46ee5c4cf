"""Memory errors detected by the hardware, from ``/sys/devices/system/edac`` (kernel: driver-api/edac.rst)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, Sample, counter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

_KINDS = (("ce", "correctable"), ("ue", "uncorrectable"))
CONTROLLER = {
    kind: counter(
        f"node_edac_{name}_errors_total", f"{name.capitalize()} memory errors of a memory controller.", "controller"
    )
    for kind, name in _KINDS
}
ROW = {
    kind: counter(
        f"node_edac_csrow_{name}_errors_total",
        f"{name.capitalize()} memory errors of a row of modules (chip select).",
        "controller",
        "csrow",
    )
    for kind, name in _KINDS
}
CHANNEL = {
    kind: counter(
        f"node_edac_channel_{name}_errors_total",
        f"{name.capitalize()} memory errors of a channel of a row.",
        *("controller", "csrow", "channel", "dimm_label"),
    )
    for kind, name in _KINDS
}
_ROOT = "devices/system/edac/mc"
_CHANNEL = re.compile(r"ch(\d+)_(ce|ue)_count$")


@dataclass(frozen=True, slots=True)
class MemoryController:
    """One memory controller: its own files, and the files of its rows by number."""

    number: str
    files: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host) -> list[MemoryController]:
    """Return the files of all controllers, none if the hardware does not detect memory errors."""
    try:
        entries = [entry for entry in host.sys_names(_ROOT) if re.fullmatch(r"mc\d+", entry)]
    except FileNotFoundError:
        return []
    found = []
    for entry in entries:
        names = ("ce_count", "ue_count", "ce_noinfo_count", "ue_noinfo_count")
        rows = {}
        for row in host.sys_names(f"{_ROOT}/{entry}"):
            if re.fullmatch(r"csrow\d+", row):
                place = f"{_ROOT}/{entry}/{row}"
                files = [name for name in host.sys_names(place) if name.endswith(("_count", "_dimm_label"))]
                rows[row.removeprefix("csrow")] = host.sys_attributes(place, files)
        found.append(MemoryController(entry.removeprefix("mc"), host.sys_attributes(f"{_ROOT}/{entry}", names), rows))
    return found


def parse(controllers: Iterable[MemoryController]) -> Metrics:
    """Return the errors of controllers, rows and channels.

    Errors whose row the hardware does not report are in the row ``unknown``.
    """
    whole: dict[str, list[Sample]] = {"ce": [], "ue": []}
    rows: dict[str, list[Sample]] = {"ce": [], "ue": []}
    channels: dict[str, list[Sample]] = {"ce": [], "ue": []}
    for controller in controllers:
        for kind in ("ce", "ue"):
            whole[kind].append(((controller.number,), int(controller.files[f"{kind}_count"])))
            rows[kind].append(((controller.number, "unknown"), int(controller.files[f"{kind}_noinfo_count"])))
        for row, files in controller.rows.items():
            for name, text in files.items():
                if name in ("ce_count", "ue_count"):
                    rows[name[:2]].append(((controller.number, row), int(text)))
                elif match := _CHANNEL.match(name):
                    label = dimm_label(files.get(f"ch{match[1]}_dimm_label", ""))
                    channels[match[2]].append(((controller.number, row, match[1], label), int(text)))
    return [
        (families[kind], samples[kind])
        for families, samples in ((CONTROLLER, whole), (ROW, rows), (CHANNEL, channels))
        for kind in samples
    ]


def dimm_label(text: str) -> str:
    """Return the name of a module, such as ``CPU_SrcID#0_Ha#0_Chan#1``, without its separators."""
    plain = text.strip().replace("#", "")
    return plain.replace("csrow", "_csrow").replace("channel", "_channel") or "unknown"


class MemoryErrors(Collector):
    """Memory errors by controller, row and channel."""

    name = "edac"
    summary = "memory errors detected by the hardware"
    families = (*CONTROLLER.values(), *ROW.values(), *CHANNEL.values())

    def collect(self) -> Metrics:
        """Return memory errors per controller, row and channel from /sys/devices/system/edac/mc."""
        return self.parse_if_changed(read(self.host), parse)
