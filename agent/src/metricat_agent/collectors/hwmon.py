"""Sensors of the node's hardware, from ``/sys/class/hwmon`` (kernel: hwmon/sysfs-interface.rst)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.families import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host import Host

CHIPS = gauge("node_hwmon_chip_names", "1, labelled with the name that a chip gives itself.", "chip", "chip_name")
LABEL = gauge("node_hwmon_sensor_label", "1, labelled with what a sensor measures.", "chip", "sensor", "label")
_SENSOR = re.compile(r"(in|cpu|fan|pwm|temp|curr|power|energy|humidity|intrusion|freq)(\d+)(?:_(\w+))?$")
_UNITS = {
    # Kind of sensor: what stands after the name, and the unit's share of a kernel's number.
    "in": ("_volts", 0.001),
    "cpu": ("_volts", 0.001),
    "temp": ("_celsius", 0.001),
    "curr": ("_amps", 0.001),
    "energy": ("_joule_total", 0.000001),
    "power": ("_watt", 0.000001),
    "humidity": ("", 0.000001),
    "fan": ("_rpm", 1),
    "freq": ("_freq_mhz", 0.000001),
}
_NO_UNIT = ("fault", "alarm", "type", "beep", "div", "pulses")


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: how it is told from others, the name that it gives itself, and the texts of its files."""

    key: str
    name: str
    files: Mapping[str, str]


def clean(name: str) -> str:
    """Return a name as it stands in a label or a metric: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9:_]", "_", name.lower()).strip("_")


def read(host: Host) -> list[Chip]:
    """Read all sensors; some chips keep them in the directory of their device."""
    found = []
    for entry in names_in(host, "class/hwmon"):
        directory = f"class/hwmon/{entry}"
        files: dict[str, str] = {}
        for place in (directory, f"{directory}/device"):
            names = [name for name in names_in(host, place) if _SENSOR.match(name) or name == "name"]
            files |= attributes(host, place, names)
        name = files.pop("name", "")
        found.append(Chip(key_of(host, directory) or clean(name) or entry, name, files))
    return found


def key_of(host: Host, directory: str) -> str:
    """Return bus and address of a chip, which stay what they are while its number does not."""
    device = f"{host.sysfs}/{directory}/device"
    try:
        address = os.path.basename(os.path.realpath(device, strict=True))  # noqa: PTH119 -- texts
    except OSError:
        return ""
    try:
        bus = os.path.basename(os.path.realpath(f"{device}/subsystem", strict=True))  # noqa: PTH119 -- texts
    except OSError:
        bus = ""
    return "_".join(filter(None, (clean(bus), clean(address))))


def names_in(host: Host, directory: str) -> list[str]:
    """Return the names in a directory; none where it is missing."""
    try:
        return host.sys_names(directory)
    except OSError:
        return []


def attributes(host: Host, directory: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the attributes that can be read now."""
    try:
        return host.sys_attributes(directory, names)
    except OSError:
        return {}


@lru_cache(maxsize=512)
def family_of(kind: str, element: str) -> tuple[Family, float]:
    """Return the family of a sensor's number, and the share of its unit."""
    name = f"node_hwmon_{kind}" + (f"_{clean(element)}" if element not in ("", "input") else "")
    what = f"{element or 'input'} of the sensors called {kind}"
    labels = ("chip", "sensor")
    if element == "beep":
        return gauge(f"{name}_enabled", f"1 if the sensors called {kind} may beep, else 0.", *labels), 1
    if element in _NO_UNIT or kind in ("pwm", "intrusion"):
        return gauge(name, f"The {what}.", *labels), 1
    if kind == "power" and element == "accuracy":
        return gauge(name, f"The {what}, as a ratio.", *labels), 0.000001
    if kind == "power" and element.startswith("average_interval"):
        return gauge(f"{name}_seconds", f"The {what}, in seconds.", *labels), 0.001
    unit, share = _UNITS[kind]
    make = counter if unit.endswith("_total") else gauge
    return make(f"{name}{unit}", f"The {what}, in the unit of the name.", *labels), share


def parse(chips: Iterable[Chip], sensors: Filter, wanted: Filter) -> Metrics:
    """Turn the kernel's thousandths and millionths into base units."""
    names: list[Sample] = []
    labels: list[Sample] = []
    columns: dict[Family, list[Sample]] = {}
    for chip in filter(lambda chip: wanted.keeps(chip.key), chips):
        if chip.name:
            names.append(((chip.key, clean(chip.name)), 1))
        for file, text in chip.files.items():
            found = _SENSOR.match(file)
            if not found or not sensors.keeps(f"{chip.key};{found[1]}{found[2]}"):
                continue
            sensor, element = f"{found[1]}{found[2]}", found[3] or ""
            if element == "label":
                labels.append(((chip.key, sensor, text), 1))
            elif re.fullmatch(r"-?\d+", text):
                family, share = family_of(found[1], element)
                columns.setdefault(family, []).append(((chip.key, sensor), int(text) * share))
    return [(CHIPS, names), (LABEL, labels), *columns.items()]


class HardwareSensors(Collector):
    """How warm the hardware is, and what it draws."""

    name = "hwmon"
    summary = "temperatures, fans, voltages, power"
    families = (
        CHIPS,
        LABEL,
        *(family_of("temp", element)[0] for element in ("input", "max", "crit", "crit_alarm")),
        *(family_of(kind, "input")[0] for kind in ("in", "curr", "fan", "power", "energy", "humidity")),
    )
    filter_flags = (
        FilterFlags.of("chip", "chips, such as platform_coretemp_0", ""),
        FilterFlags.of("sensor", "sensors, such as platform_coretemp_0;temp3", ""),
    )

    def collect(self) -> Metrics:
        """Read and parse."""
        sensors, chips = self.filter("sensor-exclude"), self.filter("chip-exclude")
        return self.told(read(self.host), lambda found: parse(found, sensors, chips))
