"""The vocabulary of collectors: what a family of series is, and what one scrape of it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "untyped", "histogram", "summary"]
BOUNDS = {"histogram": "le", "summary": "quantile"}
"""Kinds of which a series is a part, and the label that only some parts have.

That label is the family's last. After the values of the labels, empty where the part lacks it, stands what the part is
called after the family's name: ``_bucket``, ``_sum``, ``_count`` or nothing.
"""
Sample = tuple[tuple[str, ...], float]
"""The values of the family's labels, in their order, and a number in the family's unit."""
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
UNITS = ("seconds", "bytes", "hertz", "celsius", "ratio", "volts", "amps", "watts", "joules", "rpm")


@dataclass(frozen=True, slots=True)
class Family:
    """The declaration of one metric: a promise about its name, type, unit and labels."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a name that would spoil the page: some are made of what the kernel or a file says."""
        if not _NAME.fullmatch(self.name) or not all(map(_LABEL.fullmatch, self.labels)):
            raise ValueError(f"{self.name!r} with the labels {self.labels} is no name of a metric")

    @property
    def unit(self) -> str:
        """The base unit, which Prometheus wants at the end of the name; empty for plain counts."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in UNITS else ""


Metric = tuple[Family, Sequence[Sample]]
Metrics = list[Metric]


def counter(name: str, text: str, *labels: str) -> Family:
    """Declare a number that only grows, until what it counts starts anew."""
    return Family(name, "counter", text, labels)


def gauge(name: str, text: str, *labels: str) -> Family:
    """Declare a number that goes up and down."""
    return Family(name, "gauge", text, labels)


def untyped(name: str, text: str, *labels: str) -> Family:
    """Declare a number that node_exporter gives without a type, as the kernel's tables mix both kinds."""
    return Family(name, "untyped", text, labels)


def single(family: Family, value: float) -> Metric:
    """Return the one series of a family without labels."""
    return family, [((), value)]


def size(metrics: Metrics) -> int:
    """Return the number of series."""
    return sum([len(samples) for _, samples in metrics])  # a list is quicker than a generator
