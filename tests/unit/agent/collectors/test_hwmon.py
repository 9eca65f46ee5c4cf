"""Names of hwmon sensors: unique on a chip, whatever labels the driver gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.hwmon import HardwareSensors, frequency_names
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.agent.conftest import Scrape


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (("sclk", "mclk"), ("sclk", "mclk")),
        (("sclk", "sclk"), ("freq1", "freq2")),
        (("sclk", "sclk", "mclk"), ("freq1", "freq2", "mclk")),
        (("SCLK ", "sclk"), ("freq1", "freq2")),
        (("freq2", ""), ("freq1", "freq2")),
        (("freq2", "x", "x"), ("freq1", "freq2", "freq3")),
        (("", "§"), ("freq1", "freq2")),
    ],
)
def test_frequency_sensor_has_its_label_as_name_where_that_is_unique(
    labels: tuple[str, ...], names: tuple[str, ...]
) -> None:
    files = {f"freq{at}_label": label for at, label in enumerate(labels, 1) if label}
    files |= {f"freq{at}_input": "1" for at in range(1, len(labels) + 1)}
    assert tuple(frequency_names(files).values()) == names


def test_both_sensors_with_one_label_are_exposed(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    chip = tmp_path / "class/hwmon/hwmon0"
    chip.mkdir(parents=True)
    (chip / "name").write_text("amdgpu\n")
    for sensor in ("freq1", "freq2", "temp1", "temp2"):
        (chip / f"{sensor}_label").write_text("edge\n")
        (chip / f"{sensor}_input").write_text(f"{sensor[-1]}000000000\n")
    scrape = scrape_of(Registry([HardwareSensors(Host(sysfs=str(tmp_path)))]).scrape())
    assert scrape.of("node_hwmon_freq_freq_mhz") == {("amdgpu", "freq1"): 1000, ("amdgpu", "freq2"): 2000}
    assert len(scrape.of("node_hwmon_temp_celsius")) == 2
    assert len(scrape.of("node_hwmon_sensor_label")) == 4
    assert not scrape.of("metricat_collector_skipped_total")
