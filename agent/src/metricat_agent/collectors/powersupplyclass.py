"""Batteries and mains adapters, from ``/sys/class/power_supply`` (kernel: ABI/testing/sysfs-class-power)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host

LABELS = (
    *("power_supply", "capacity_level", "charge_type", "health", "manufacturer", "model_name"),
    *("serial_number", "status", "technology", "type", "usb_type", "scope"),
)
INFO = gauge("node_power_supply_info", "1, labelled with the properties of a power supply.", *LABELS)


def _column(file: str, name: str, share: float) -> tuple[str, tuple[Family, float]]:
    return file, (
        gauge(f"node_power_supply_{name}", f"The file {file} of a power supply, in base units.", "power_supply"),
        share,
    )


_PLAIN = (
    *("authentic", "calibrate", "capacity", "capacity_alert_max", "capacity_alert_min", "cyclecount", "online"),
    *("present", "time_to_empty_seconds", "time_to_full_seconds"),
)
_MILLIONTHS = (
    *("current_boot", "current_max", "current_ampere", "energy_empty", "energy_empty_design", "energy_full"),
    *("energy_full_design", "energy_watthour", "voltage_boot", "voltage_max", "voltage_max_design", "voltage_min"),
    *("voltage_min_design", "voltage_volt", "voltage_ocv", "charge_control_limit", "charge_control_limit_max"),
    *("charge_counter", "charge_empty", "charge_empty_design", "charge_full", "charge_full_design", "charge_ampere"),
    *("charge_term_current", "constant_charge_current", "constant_charge_current_max", "constant_charge_voltage"),
    *("constant_charge_voltage_max", "precharge_current", "input_current_limit", "power_watt"),
)
_TENTHS = tuple(
    f"temp{part}_celsius" for part in ("", "_alert_max", "_alert_min", "_ambient", "_ambient_max", "_ambient_min")
)
_CALLED = {
    "current_ampere": "current_now",
    "energy_watthour": "energy_now",
    "voltage_volt": "voltage_now",
    "charge_ampere": "charge_now",
    "power_watt": "power_now",
    "cyclecount": "cycle_count",
    "time_to_empty_seconds": "time_to_empty_now",
    "time_to_full_seconds": "time_to_full_now",
}
"""Files whose family has another name."""
COLUMNS: dict[str, tuple[Family, float]] = dict(
    [
        *(_column(_CALLED.get(name, name), name, 1) for name in _PLAIN),
        *(_column(_CALLED.get(name, name), name, 0.000001) for name in _MILLIONTHS),
        *(_column(name.removesuffix("_celsius"), name, 0.1) for name in _TENTHS),
    ]
)


def read(host: Host, supplies: Filter) -> Mapping[str, Mapping[str, str]]:
    """Read the files of each power supply."""
    files = (*COLUMNS, *LABELS[1:])
    return host.sys_each(
        "class/power_supply", lambda entry: host.sys_attributes(f"class/power_supply/{entry}", files), supplies.keeps
    )


def parse(supplies: Mapping[str, Mapping[str, str]]) -> Metrics:
    """Convert millionths and tenths to base units."""
    columns: dict[str, list[Sample]] = {file: [] for file in COLUMNS}
    infos: list[Sample] = []
    for name, files in supplies.items():
        infos.append(((name, *(files.get(label, "").strip() for label in LABELS[1:])), 1))
        for file, samples in columns.items():
            if re.fullmatch(r"-?\d+", files.get(file, "")):
                samples.append(((name,), int(files[file]) * COLUMNS[file][1]))
    return [(INFO, infos), *((COLUMNS[file][0], samples) for file, samples in columns.items())]


class PowerSupplies(Collector):
    """State and charge of batteries and mains adapters."""

    name = "powersupplyclass"
    summary = "batteries and mains adapters"
    families = (INFO, *(family for family, _ in COLUMNS.values()))
    filter_flags = (FilterFlags("power supplies", "ignored-supplies", ""),)

    def collect(self) -> Metrics:
        """Read and parse."""
        return self.parse_if_changed(read(self.host, self.filter("ignored-supplies")), parse)
