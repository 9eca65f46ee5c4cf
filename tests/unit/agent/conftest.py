"""Fixtures of the agent's tests: a recorded host, and scrapes parsed by prometheus_client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metricat_agent.host.hostfs import Host
from support.certificates import self_signed
from support.paths import RECORDED_HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]
RECORDED = RECORDED_HOST


@pytest.fixture
def host() -> Host:
    """The recorded host, mounted as in a pod."""
    return Host(
        procfs=str(RECORDED / "proc"), sysfs=str(RECORDED / "sys"), rootfs=str(RECORDED / "root"), node_name="node-7"
    )


def scraped(text: str) -> Scraped:
    """Parse a scrape; reject two series with the same name and labels."""
    series: Scraped = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in series, f"twice: {key}"
            series[key] = sample.value
    return series


class Scrape:
    """A parsed scrape with its series by name and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.series = scraped(text)

    def get(self, name: str, **labels: str) -> float | None:
        return self.series.get((name, frozenset(labels.items())))

    def of(self, name: str) -> dict[tuple[str, ...], float]:
        """Return the series of a family by the values of their labels, in the order of the labels' names."""
        return {
            tuple(value for _, value in sorted(labels)): number
            for (found, labels), number in self.series.items()
            if found == name
        }

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.series}


@pytest.fixture(scope="session")
def scrape_of() -> Callable[[str], Scrape]:
    """The parser of a scrape's text."""
    return Scrape


@pytest.fixture(scope="session")
def scrape_type() -> type[Scrape]:
    """The class of parsed scrapes: test modules cannot import each other."""
    return Scrape


@pytest.fixture(scope="session")
def certificate() -> Callable[[Path, str], None]:
    """A function that writes a certificate and its key into a folder, under a name."""
    return self_signed
