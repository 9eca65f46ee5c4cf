"""Metrics as collectors return them: families of series and their samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "untyped", "histogram", "summary"]
BOUNDS = {"histogram": "le", "summary": "quantile"}
"""Kinds whose series are parts of one histogram or summary, and the label that only some parts have.

That label is the family's last. A sample of such a family has one more value after its label values: the suffix of the
part's name, which is ``_bucket``, ``_sum``, ``_count`` or empty. The label's value is empty for parts without it.
"""
Sample = tuple[tuple[str, ...], float]
"""The values of the family's labels, in the order of the labels, and a number in the family's unit."""
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
"""Prometheus reserves labels that begin with two underscores."""
_NO_SUFFIX = ("",)
_SUFFIXES = {"histogram": ("", "_bucket", "_sum", "_count", "_created"), "summary": ("", "_sum", "_count", "_created")}
UNITS = ("seconds", "bytes", "hertz", "celsius", "ratio", "volts", "amps", "watts", "joules", "rpm")


@dataclass(frozen=True, slots=True)
class Family:
    """The declaration of one metric: its name, type, help text and labels."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject a name that would make the whole response invalid: some names come from the kernel or a file."""
        if not _NAME.fullmatch(self.name) or not all(map(_LABEL.fullmatch, self.labels)):
            raise ValueError(f"{self.name!r} with the labels {self.labels} is not a valid metric name")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"{self.name} has a label twice: {self.labels}")

    @property
    def page_names(self) -> tuple[str, ...]:
        """The names that no other family of a scrape response may have: its own, and those of its parts."""
        return tuple([self.name + suffix for suffix in _SUFFIXES.get(self.kind, _NO_SUFFIX)])

    @property
    def openmetrics_names(self) -> tuple[str, ...]:
        """Names that OpenMetrics reserves for a counter. They are free if the counter has the type unknown there."""
        if self.kind != "counter" or not self.name.endswith("_total"):
            return ()
        short = self.name.removesuffix("_total")
        return (short, f"{short}_created") if short else ()

    @property
    def unit(self) -> str:
        """The base unit, which Prometheus expects at the end of the name; empty for plain counts."""
        last = self.name.removesuffix("_total").rpartition("_")[2]
        return last if last in UNITS else ""


Metric = tuple[Family, Sequence[Sample]]
Metrics = list[Metric]


def counter(name: str, text: str, *labels: str) -> Family:
    """Declare a number that only increases until its source restarts."""
    return Family(name, "counter", text, labels)


def gauge(name: str, text: str, *labels: str) -> Family:
    """Declare a number that increases and decreases."""
    return Family(name, "gauge", text, labels)


def untyped(name: str, text: str, *labels: str) -> Family:
    """Declare a number that node_exporter exports without a type: the kernel's tables mix counters and gauges."""
    return Family(name, "untyped", text, labels)


def single(family: Family, value: float) -> Metric:
    """Return a family without labels with its only sample."""
    return family, [((), value)]


def size(metrics: Metrics) -> int:
    """Return the number of series."""
    return sum([len(samples) for _, samples in metrics])  # a list is faster than a generator
