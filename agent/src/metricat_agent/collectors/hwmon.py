"""Sensors of the node's hardware, from ``/sys/class/hwmon`` (kernel: hwmon/sysfs-interface.rst)."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from metricat_agent.host.hostfs import Host

CHIPS = gauge("node_hwmon_chip_names", "1, labelled with the name of a chip.", "chip", "chip_name")
LABEL = gauge("node_hwmon_sensor_label", "1, labelled with the label of a sensor.", "chip", "sensor", "label")
_SENSOR = re.compile(r"(in|cpu|fan|pwm|temp|curr|power|energy|humidity|intrusion|freq)(\d+)(?:_(\w+))?$")
_OF_CHIP = {
    # Files of the whole chip: their family, and the factor that converts to its unit.
    file: (gauge(f"node_hwmon_{name}", text, "chip", "sensor"), share)
    for file, name, share, text in (
        ("beep_enable", "beep_enabled", 1, "1 if the chip may beep, 0 if not."),
        ("update_interval", "update_interval_seconds", 0.001, "Time between two measurements of a chip, in seconds."),
        ("vrm", "voltage_regulator_version", 1, "Version of the voltage regulator module (VRM) specification."),
    )
}
_UNITS = {
    # Kind of sensor: the suffix of the metric name, and the factor that converts to its unit.
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
_NO_UNIT = ("fault", "alarm")
_IN_TURNS = ("", "input", "min", "max", "target")
"""Elements of a fan that are in rotations per minute."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: the path of its device (unique for most chips), its entry, its name, and its files."""

    place: str
    entry: str
    name: str
    files: Mapping[str, str]


def clean(name: str) -> str:
    """Return a name for labels and metrics: lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9:_]", "_", name.lower()).strip("_")


def read(host: Host) -> list[Chip]:
    """Read all sensors. Some chips have them in the directory of their device."""
    found = []
    for entry in names_in(host, "class/hwmon"):
        directory = f"class/hwmon/{entry}"
        files: dict[str, str] = {}
        for place in (directory, f"{directory}/device"):
            names = [name for name in names_in(host, place) if _SENSOR.match(name) or name in (*_OF_CHIP, "name")]
            files |= attributes(host, place, names)
        name = files.pop("name", "")
        found.append(Chip(place_of(host, directory) or clean(name) or entry, entry, name, files))
    return found


def place_of(host: Host, directory: str) -> str:
    """Return the last two directories of a chip's device. They are stable; the number of the chip is not."""
    try:
        way = os.path.realpath(f"{host.sysfs}/{directory}/device", strict=True)
    except OSError:
        return ""
    return "_".join(filter(None, map(clean, way.split("/")[-2:])))


def keys(chips: Sequence[Chip]) -> list[str]:
    """Return the key of each chip: the place, and for chips with the same place also the name or entry."""
    places = Counter([chip.place for chip in chips])
    names = Counter([(chip.place, chip.name) for chip in chips])
    return [
        chip.place
        if places[chip.place] == 1
        else f"{chip.place}_{(clean(chip.name) if names[chip.place, chip.name] == 1 else '') or chip.entry}"
        for chip in chips
    ]


def names_in(host: Host, directory: str) -> list[str]:
    """Return the names in a directory, none if it is missing."""
    try:
        return host.sys_names(directory)
    except OSError:
        return []


def attributes(host: Host, directory: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the readable attributes."""
    try:
        return host.sys_attributes(directory, names)
    except OSError:
        return {}


@lru_cache(maxsize=512)
def family_of(kind: str, element: str) -> tuple[Family, float]:
    """Return the family of a sensor's number, and the factor that converts to its unit."""
    name = f"node_hwmon_{kind}" + (f"_{clean(element)}" if element not in ("", "input") else "")
    what = f"{element or 'input'} of the sensors called {kind}"
    labels = ("chip", "sensor")
    if element == "beep":
        return gauge(f"{name}_enabled", f"1 if the sensors called {kind} may beep, 0 if not.", *labels), 1
    plain = element in _NO_UNIT or kind in ("pwm", "intrusion") or (kind, element) == ("temp", "type")
    if plain or (kind == "fan" and element not in _IN_TURNS) or (kind == "freq" and element != "input"):
        return gauge(name, f"The {what}.", *labels), 1
    if kind == "power" and element == "accuracy":
        return gauge(name, f"The {what}, as a ratio.", *labels), 0.000001
    if kind == "power" and element.startswith("average_interval"):
        return gauge(f"{name}_seconds", f"The {what}, in seconds.", *labels), 0.001
    unit, share = _UNITS[kind]
    make = counter if unit.endswith("_total") else gauge
    return make(f"{name}{unit}", f"The {what}, in the unit of the name.", *labels), share


def numbers(key: str, chip: Chip, sensors: Filter) -> Iterator[tuple[Family, Sample]]:
    """Yield the samples of a chip in base units."""
    for file, text in chip.files.items():
        found = _SENSOR.match(file)
        sensor, element = (f"{found[1]}{found[2]}", found[3] or "") if found else (f"{file}0", "")
        if element == "label" or not re.fullmatch(r"-?\d+", text) or not sensors.keeps(f"{key};{sensor}"):
            continue
        if found is None:
            family, share = _OF_CHIP[file]
        elif element == "input" and sensor in chip.files:
            continue  # the same number under its other name
        else:
            family, share = family_of(found[1], element)
        if family.name == "node_hwmon_freq_freq_mhz":
            sensor = clean(chip.files.get(f"{sensor}_label", "")) or sensor
        yield family, ((key, sensor), int(text) * share)


def parse(chips: Sequence[Chip], sensors: Filter, wanted: Filter) -> Metrics:
    """Convert the kernel's thousandths and millionths to base units."""
    names: list[Sample] = []
    labels: list[Sample] = []
    columns: dict[Family, list[Sample]] = {}
    for key, chip in zip(keys(chips), chips, strict=True):
        if not wanted.keeps(key):
            continue
        if chip.name:
            names.append(((key, clean(chip.name)), 1))
        for file, text in chip.files.items():
            sensor, _, element = file.rpartition("_")
            if element == "label" and sensors.keeps(f"{key};{sensor}"):
                labels.append(((key, sensor, text), 1))
        for family, sample in numbers(key, chip, sensors):
            columns.setdefault(family, []).append(sample)
    return [(CHIPS, names), (LABEL, labels), *columns.items()]


class HardwareSensors(Collector):
    """Temperatures, fans, voltages and power of the hardware."""

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
        return self.parse_if_changed(read(self.host), lambda found: parse(found, sensors, chips))
