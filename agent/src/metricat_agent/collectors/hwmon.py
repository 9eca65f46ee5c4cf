"""Sensors of the node's hardware, from ``/sys/class/hwmon`` (kernel: hwmon/sysfs-interface.rst)."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

CHIPS = gauge("node_hwmon_chip_names", "1, labeled with the name of a chip.", "chip", "chip_name")
LABEL = gauge("node_hwmon_sensor_label", "1, labeled with the label of a sensor.", "chip", "sensor", "label")
_SENSOR = re.compile(r"(in|cpu|fan|pwm|temp|curr|power|energy|humidity|intrusion|freq)(\d+)(?:_(\w+))?$")
_FREQUENCY = re.compile(r"freq[0-9]+_input")
_CHIP_FILES = {
    # Files of the whole chip: their family, and the factor that converts to its unit.
    file: (gauge(f"node_hwmon_{name}", text, "chip", "sensor"), share)
    for file, name, share, text in (
        ("beep_enable", "beep_enabled", 1, "1 if the chip may beep, 0 if not."),
        ("update_interval", "update_interval_seconds", 0.001, "Time between two measurements of a chip, in seconds."),
        ("vrm", "voltage_regulator_version", 1, "Version of the voltage regulator module (VRM) specification."),
    )
}
_UNITS = {
    # Kind of sensor: the suffix of the metric name, the factor that converts to its unit, and the unit.
    "in": ("_volts", 0.001, "volts"),
    "cpu": ("_volts", 0.001, "volts"),
    "temp": ("_celsius", 0.001, "degrees Celsius"),
    "curr": ("_amps", 0.001, "amperes"),
    "energy": ("_joule_total", 0.000001, "joules"),
    "power": ("_watt", 0.000001, "watts"),
    "humidity": ("", 0.000001, "units of 1000 % (0.05 is 50 %)"),
    "fan": ("_rpm", 1, "rotations per minute"),
    "freq": ("_freq_mhz", 0.000001, "megahertz"),
}
_QUANTITIES = {
    "in": "voltage",
    "cpu": "CPU core reference voltage",
    "temp": "temperature",
    "curr": "current",
    "energy": "energy used",
    "power": "power",
    "humidity": "relative humidity",
    "fan": "fan speed",
    "freq": "frequency",
}
_LIMITS = {
    "min": "Lower limit",
    "max": "Upper limit",
    "lcrit": "Critical lower limit",
    "crit": "Critical upper limit",
    "emergency": "Emergency upper limit",
    "average": "Average",
    "lowest": "Lowest value",
    "highest": "Highest value",
    "target": "Target",
}
_PLAIN_TEXTS = {
    ("pwm", ""): "PWM output that controls a fan: 0 (off) to 255 (full speed).",
    ("intrusion", "alarm"): "1 if the chassis was opened, 0 if not.",
    ("temp", "type"): "Type of a temperature sensor: 1 CPU diode, 2 transistor, 3 thermal diode, 4 thermistor, "
    "5 AMDSI, 6 PECI.",
}
_TEXTS = ("label", "model_number", "oem_info", "serial_number")
"""Elements that are not numbers (kernel: hwmon/acpi_power_meter.rst)."""
_NO_UNIT = ("fault", "alarm")
_RPM_ELEMENTS = ("", "input", "min", "max", "target")
"""Elements of a fan that are in rotations per minute."""


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip: the path of its device (unique for most chips), its entry in sysfs, its name, and its files."""

    place: str
    entry: str
    name: str
    files: Mapping[str, str]


def clean(name: str) -> str:
    """Return a name for labels and metrics: lower-case letters, digits, colons and underscores."""
    return re.sub(r"[^a-z0-9:_]", "_", name.lower()).strip("_")


def read(host: Host) -> list[Chip]:
    """Return the files of all chips. Some chips have the files of their sensors in the directory of their device."""
    found = []
    for entry in names_in(host, "class/hwmon"):
        directory = f"class/hwmon/{entry}"
        files: dict[str, str] = {}
        for place in (directory, f"{directory}/device"):
            names = [name for name in names_in(host, place) if _SENSOR.match(name) or name in (*_CHIP_FILES, "name")]
            files |= attributes(host, place, names)
        name = files.pop("name", None)
        if name is not None and not clean(name):
            host.skips.add("unparsable", f"{directory}/name")
            name = None
        name = name or ""
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
    """Return a unique key for each chip: the last two directories of its device.

    If several chips have the same directories, their keys also contain the name or the entry in sysfs.
    """
    places = Counter([chip.place for chip in chips])
    names = Counter([(chip.place, chip.name) for chip in chips])
    found: dict[str, None] = {}
    for chip in chips:
        key = chip.place
        if places[key] > 1:
            key += f"_{(clean(chip.name) if names[chip.place, chip.name] == 1 else '') or chip.entry}"
        found[f"{key}_{chip.entry}" if key in found else key] = None
    return list(found)


def names_in(host: Host, directory: str) -> list[str]:
    """Return the names in a directory, none if it cannot be read."""
    try:
        return host.sys_names(directory)
    except OSError:
        return []


def attributes(host: Host, directory: str, names: Iterable[str]) -> Mapping[str, str]:
    """Return the readable attributes of a directory; none if the directory cannot be opened."""
    try:
        return host.sys_attributes(directory, names)
    except OSError:
        return {}


@lru_cache(maxsize=512)
def family_of(kind: str, element: str) -> tuple[Family, float]:
    """Return the family of a sensor's file, and the factor that converts to its unit."""
    name = f"node_hwmon_{kind}" + (f"_{clean(element)}" if element not in ("", "input") else "")
    labels = ("chip", "sensor")
    if element == "beep":
        return gauge(f"{name}_enabled", f"1 if the chip may beep for a sensor of type {kind}, 0 if not.", *labels), 1
    plain = element in _NO_UNIT or kind in ("pwm", "intrusion") or (kind, element) == ("temp", "type")
    if plain or (kind == "fan" and element not in _RPM_ELEMENTS) or (kind == "freq" and element != "input"):
        return gauge(name, plain_text(kind, element), *labels), 1
    if kind == "power" and element == "accuracy":
        return gauge(name, "Accuracy of the power, as a ratio.", *labels), 0.000001
    if kind == "power" and element.startswith("average_interval"):
        text = f"Interval of the average power (file powerN_{element}), in seconds."
        return gauge(f"{name}_seconds", text, *labels), 0.001
    unit, share, _ = _UNITS[kind]
    make = counter if unit.endswith("_total") else gauge
    return make(f"{name}{unit}", text_with_unit(kind, element), *labels), share


def plain_text(kind: str, element: str) -> str:
    """Return the help text of a family without a unit."""
    if text := _PLAIN_TEXTS.get((kind, element)):
        return text
    if element == "fault":
        return f"1 if a sensor of type {kind} is faulty, so that its value is invalid; 0 if not."
    if element.endswith("alarm"):
        return f"1 if the alarm {kind}N_{element} is active, 0 if not."
    return f"Value of {kind}N{'_' * bool(element)}{element} of a sensor (kernel: hwmon/sysfs-interface.rst)."


def text_with_unit(kind: str, element: str) -> str:
    """Return the help text of a family with a unit."""
    _, share, unit = _UNITS[kind]
    quantity = _QUANTITIES[kind]
    if element in ("", "input"):
        return f"{quantity[0].upper()}{quantity[1:]}, in {unit}."
    if element in _LIMITS:
        return f"{_LIMITS[element]} of the {quantity}, in {unit}."
    if element.endswith("_alarm"):
        return f"Alarm {kind}N_{element}: 0 if inactive, {share:g} if active (scaled like the {quantity})."
    return f"Value of {kind}N_{element} of a sensor (kernel: hwmon/sysfs-interface.rst), in {unit}."


def frequency_names(files: Mapping[str, str]) -> dict[str, str]:
    """Return the names of a chip's frequency sensors: their labels, as in node_exporter, where that is unique."""
    sensors = [file.removesuffix("_input") for file in files if _FREQUENCY.fullmatch(file)]
    wanted = {sensor: clean(files.get(f"{sensor}_label", "")) or sensor for sensor in sensors}
    counts = Counter(wanted.values())
    return {sensor: name if counts[name] == 1 and name not in sensors else sensor for sensor, name in wanted.items()}


def numbers(key: str, chip: Chip, sensors: Filter, skips: Skips) -> Iterator[tuple[Family, Sample]]:
    """Yield the samples of a chip in the units of their families."""
    frequencies = frequency_names(chip.files)
    for file in chip.files:
        found = _SENSOR.match(file)
        sensor, element = (f"{found[1]}{found[2]}", found[3] or "") if found else (f"{file}0", "")
        if element in _TEXTS or not sensors.keeps(f"{key};{sensor}"):
            continue
        number = parse_file(skips, chip.files, file, f"class/hwmon/{chip.entry}", whole)
        if number is None:
            continue
        if found is None:
            family, share = _CHIP_FILES[file]
        elif element == "input" and sensor in chip.files:
            continue  # the same number under its other name
        else:
            family, share = family_of(found[1], element)
        if family.name == "node_hwmon_freq_freq_mhz":
            sensor = frequencies[sensor]
        yield family, ((key, sensor), number * share)


def parse(chips: Sequence[Chip], sensors: Filter, wanted: Filter, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the readings of the selected sensors, and the names of chips and sensors."""
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
        for family, sample in numbers(key, chip, sensors, skips):
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
        """Return temperatures, voltages, fan speeds and other readings of each chip from /sys/class/hwmon."""
        sensors, chips = self.filter("sensor-exclude"), self.filter("chip-exclude")
        return self.parse_parts_if_changed(read(self.host), lambda found, skips: parse(found, sensors, chips, skips))
