"""Memory errors detected by the hardware, from ``/sys/devices/system/edac`` (kernel: driver-api/edac.rst)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Metrics, Sample, counter
from metricat_agent.host.ascii_text import BLANKS, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

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
_CONTROLLER, _ROW = re.compile(r"mc\d+"), re.compile(r"csrow\d+")
_CHANNEL = re.compile(r"ch(\d+)_(ce|ue)_count$")
_MODULE = re.compile(r"(dimm|rank)\d+")
"""Directory of a module. Kernels without CONFIG_EDAC_LEGACY_SYSFS have no rows, but such directories."""
_MODULE_FILES = ("dimm_ce_count", "dimm_ue_count", "dimm_label", "dimm_location")


@dataclass(frozen=True, slots=True)
class MemoryController:
    """One memory controller: its own files, those of its rows by number, and without rows those of its modules."""

    number: str
    files: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    modules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def read(host: Host) -> list[MemoryController]:
    """Return the files of all controllers, none if the hardware does not detect memory errors."""

    def row_files(place: str) -> Mapping[str, str]:
        names = [name for name in host.sys_names(place) if name.endswith(("_count", "_dimm_label"))]
        return host.sys_attributes(place, names)

    def controller(entry: str) -> MemoryController:
        place = f"{_ROOT}/{entry}"
        files = host.sys_attributes(place, ("ce_count", "ue_count", "ce_noinfo_count", "ue_noinfo_count"))
        rows = host.sys_each(place, lambda row: row_files(f"{place}/{row}"), _ROW.fullmatch)
        numbered = {row.removeprefix("csrow"): texts for row, texts in rows.items()}
        modules: Mapping[str, Mapping[str, str]] = {}
        if not rows:
            modules = host.sys_each(
                place, lambda name: host.sys_attributes(f"{place}/{name}", _MODULE_FILES), _MODULE.fullmatch
            )
        return MemoryController(entry.removeprefix("mc"), files, numbered, modules)

    return list(host.sys_each(_ROOT, controller, _CONTROLLER.fullmatch).values())


def parse(controllers: Iterable[MemoryController], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the errors of controllers, rows and channels.

    Errors whose row the hardware does not report are in the row ``unknown``.
    """
    totals: dict[str, list[Sample]] = {"ce": [], "ue": []}
    rows: dict[str, list[Sample]] = {"ce": [], "ue": []}
    channels: dict[str, list[Sample]] = {"ce": [], "ue": []}
    for controller in controllers:
        place = f"{_ROOT}/mc{controller.number}"
        for kind in ("ce", "ue"):
            count = parse_file(skips, controller.files, f"{kind}_count", place, whole)
            if count is not None:
                totals[kind].append(((controller.number,), count))
            count = parse_file(skips, controller.files, f"{kind}_noinfo_count", place, whole)
            if count is not None:
                rows[kind].append(((controller.number, "unknown"), count))
        for kind, sample in row_samples(controller, skips):
            (rows if len(sample[0]) == len(ROW[kind].labels) else channels)[kind].append(sample)
        for kind, sample in modules(controller, skips):
            channels[kind].append(sample)
    return [
        (families[kind], samples[kind])
        for families, samples in ((CONTROLLER, totals), (ROW, rows), (CHANNEL, channels))
        for kind in samples
    ]


def row_samples(controller: MemoryController, skips: Skips) -> Iterator[tuple[str, Sample]]:
    """Yield the kind of error (``ce`` or ``ue``) and the sample of each row of a controller, and of each channel."""
    for row, files in controller.rows.items():
        for name in files:
            match = _CHANNEL.match(name)
            if match is None and name not in ("ce_count", "ue_count"):
                continue
            count = parse_file(skips, files, name, f"{_ROOT}/mc{controller.number}/csrow{row}", whole)
            if count is None:
                continue
            if match is None:
                yield name[:2], ((controller.number, row), count)
            else:
                label = dimm_label(files.get(f"ch{match[1]}_dimm_label", ""))
                yield match[2], ((controller.number, row, match[1], label), count)


def modules(controller: MemoryController, skips: Skips) -> Iterator[tuple[str, Sample]]:
    """Yield the kind of error (``ce`` or ``ue``) and the sample of each module of a controller without rows."""
    for name, files in controller.modules.items():
        labels = (controller.number, *module_labels(name, files))
        for kind, _ in _KINDS:
            place = f"{_ROOT}/mc{controller.number}/{name}"
            count = parse_file(skips, files, f"dimm_{kind}_count", place, whole)
            if count is not None:
                yield kind, (labels, count)


def module_labels(name: str, files: Mapping[str, str]) -> tuple[str, str, str]:
    """Return row, channel and label of a module. Its location is such as ``csrow 0 channel 1``, or ``memory 3``."""
    words = words_of(files.get("dimm_location", ""))
    place = dict(zip(words[::2], words[1::2], strict=False))
    label = dimm_label(files.get("dimm_label", ""))
    return place.get("csrow", "unknown"), place.get("channel", "unknown"), name if label == "unknown" else label


def dimm_label(text: str) -> str:
    """Return the name of a module as node_exporter writes it, without ``#``; ``unknown`` if it is empty."""
    plain = text.strip(BLANKS).replace("#", "")
    return plain.replace("csrow", "_csrow").replace("channel", "_channel") or "unknown"


class MemoryErrors(Collector):
    """Memory errors by controller, row and channel."""

    name = "edac"
    summary = "memory errors detected by the hardware"
    families = (*CONTROLLER.values(), *ROW.values(), *CHANNEL.values())

    def collect(self) -> Metrics:
        """Return memory errors per controller, row and channel from /sys/devices/system/edac/mc."""
        return self.parse_parts_if_changed(read(self.host), parse)
