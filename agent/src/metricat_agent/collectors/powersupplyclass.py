"""Batteries and mains adapters, from ``/sys/class/power_supply`` (kernel: ABI/testing/sysfs-class-power)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

LABELS = (
    *("power_supply", "capacity_level", "charge_type", "health", "manufacturer", "model_name"),
    *("serial_number", "status", "technology", "type", "usb_type", "scope"),
)
INFO = gauge("node_power_supply_info", "1, labeled with the properties of a power supply.", *LABELS)


def _column(file: str, name: str, text: str, share: float) -> tuple[str, tuple[Family, float]]:
    return file, (gauge(f"node_power_supply_{name}", text, "power_supply"), share)


_PLAIN = {
    "authentic": "1 if the manufacturer of the supply is verified as authentic, 0 if not.",
    "calibrate": "Calibration state of the battery or of its charge counter.",
    "capacity": "Charge of the battery, in % of its capacity.",
    "capacity_alert_max": "Charge of the battery above which the kernel notifies programs, in %.",
    "capacity_alert_min": "Charge of the battery below which the kernel notifies programs, in %.",
    "cyclecount": "Number of full cycles of charge and discharge.",
    "online": "0 if the supply provides no power; 1 or 2 if it does, at a fixed or an adjustable voltage.",
    "present": "1 if the battery is present, 0 if not.",
    "time_to_empty_seconds": "Time until the battery is empty, in seconds.",
    "time_to_full_seconds": "Time until the battery is full, in seconds.",
}
"""Help texts by name, for files in the unit of the metric."""
_MILLIONTHS = {
    "current_boot": "Current measured at boot, in amperes.",
    "current_max": "Maximum current, in amperes.",
    "current_ampere": "Current, in amperes.",
    "energy_empty": "Energy at which the battery is considered empty, in watt-hours.",
    "energy_empty_design": "Energy of an empty battery by design, in watt-hours.",
    "energy_full": "Energy when the battery was last full, in watt-hours.",
    "energy_full_design": "Energy of a full battery by design, in watt-hours.",
    "energy_watthour": "Energy in the battery, in watt-hours.",
    "voltage_boot": "Voltage measured at boot, in volts.",
    "voltage_max": "Maximum voltage, in volts.",
    "voltage_max_design": "Maximum voltage by design, in volts.",
    "voltage_min": "Minimum voltage, in volts.",
    "voltage_min_design": "Minimum voltage by design, in volts.",
    "voltage_volt": "Voltage, in volts.",
    "voltage_ocv": "Open-circuit voltage of the battery, in volts.",
    "charge_control_limit": "Maximum charging current that is set, in amperes.",
    "charge_control_limit_max": "Maximum charging current that can be set, in amperes.",
    "charge_counter": "Counter of the charge, in ampere-hours; it can be negative.",
    "charge_empty": "Charge at which the battery is considered empty, in ampere-hours.",
    "charge_empty_design": "Charge of an empty battery by design, in ampere-hours.",
    "charge_full": "Charge when the battery was last full, in ampere-hours.",
    "charge_full_design": "Charge of a full battery by design, in ampere-hours.",
    "charge_ampere": "Charge of the battery, in ampere-hours.",
    "charge_term_current": "Current at which charging ends, in amperes.",
    "constant_charge_current": "Constant charging current that is set, in amperes.",
    "constant_charge_current_max": "Maximum constant charging current that the supply supports, in amperes.",
    "constant_charge_voltage": "Constant charging voltage that is set, in volts.",
    "constant_charge_voltage_max": "Maximum constant charging voltage that the supply supports, in volts.",
    "precharge_current": "Current before the main charging phase, in amperes.",
    "input_current_limit": "Limit of the current that a charger draws from its source, in amperes.",
    "power_watt": "Power, in watts.",
}
"""Help texts by name, for files in millionths of the metric's unit."""
_TENTHS = {
    "temp_celsius": "Temperature of the battery, in degrees Celsius.",
    "temp_alert_max_celsius": "Battery temperature above which the kernel notifies programs, in degrees Celsius.",
    "temp_alert_min_celsius": "Battery temperature below which the kernel notifies programs, in degrees Celsius.",
    "temp_ambient_celsius": "Ambient temperature, in degrees Celsius.",
    "temp_ambient_max_celsius": "Upper limit of the ambient temperature, in degrees Celsius.",
    "temp_ambient_min_celsius": "Lower limit of the ambient temperature, in degrees Celsius.",
}
"""Help texts by name, for files in tenths of the metric's unit."""
_FILES = {
    "current_ampere": "current_now",
    "energy_watthour": "energy_now",
    "voltage_volt": "voltage_now",
    "charge_ampere": "charge_now",
    "power_watt": "power_now",
    "cyclecount": "cycle_count",
    "time_to_empty_seconds": "time_to_empty_now",
    "time_to_full_seconds": "time_to_full_now",
}
"""The kernel's file for each family whose name differs from the file's."""
COLUMNS: dict[str, tuple[Family, float]] = dict(
    [
        *(_column(_FILES.get(name, name), name, text, 1) for name, text in _PLAIN.items()),
        *(_column(_FILES.get(name, name), name, text, 0.000001) for name, text in _MILLIONTHS.items()),
        *(_column(name.removesuffix("_celsius"), name, text, 0.1) for name, text in _TENTHS.items()),
    ]
)


def read(host: Host, supplies: Filter) -> Mapping[str, Mapping[str, str]]:
    """Return the files of each selected power supply."""
    files = (*COLUMNS, *LABELS[1:])
    return host.sys_each(
        "class/power_supply", lambda entry: host.sys_attributes(f"class/power_supply/{entry}", files), supplies.keeps
    )


def parse(supplies: Mapping[str, Mapping[str, str]], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the numbers of each power supply in base units, and its properties. Files have millionths or tenths."""
    columns: dict[str, list[Sample]] = {file: [] for file in COLUMNS}
    infos: list[Sample] = []
    for name, files in supplies.items():
        infos.append(((name, *(files.get(label, "").strip(BLANKS) for label in LABELS[1:])), 1))
        for file, samples in columns.items():
            value = parse_file(skips, files, file, f"class/power_supply/{name}", whole)
            if value is not None:
                samples.append(((name,), value * COLUMNS[file][1]))
    return [(INFO, infos), *((COLUMNS[file][0], samples) for file, samples in columns.items())]


class PowerSupplies(Collector):
    """State and charge of batteries and mains adapters."""

    name = "powersupplyclass"
    summary = "batteries and mains adapters"
    families = (INFO, *(family for family, _ in COLUMNS.values()))
    filter_flags = (FilterFlags("power supplies", "ignored-supplies", ""),)

    def collect(self) -> Metrics:
        """Return charge, voltage and state of each power supply from /sys/class/power_supply."""
        return self.parse_parts_if_changed(read(self.host, self.filter("ignored-supplies")), parse)
