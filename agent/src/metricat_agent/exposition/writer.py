"""Fast writer of Prometheus' text format 0.0.4 and OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/.
The text around the numbers is the same at almost every scrape, so it is written once and kept. See
docs/design/0005 and docs/design/0015.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.exposition.layout import Format, Layout, Shape, lay_out
from metricat_agent.exposition.text import number_text

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPES: dict[Format, str] = {
    "text": CONTENT_TYPE,
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
TRAILERS: dict[Format, str] = {"text": "", "openmetrics": "# EOF\n"}
"""The last line of a page, which only OpenMetrics has."""
_PLAIN = frozenset((int, float))
NO_NAMES: frozenset[str] = frozenset()


class _Known(NamedTuple):
    """A layout, and the shape and names from which it was made."""

    shape: Shape
    taken: frozenset[str]
    unknown: frozenset[str]
    layout: Layout


class Writer:
    """Writes the metrics of one source repeatedly: everything but the numbers is written only when it changes.

    A source mostly has the same families with the same labels at every scrape. The text around the numbers is written
    and escaped once, as a template for all numbers. The same step finds duplicates.
    """

    def __init__(self) -> None:
        self._known: dict[Format, _Known] = {}

    def text(self, metrics: Metrics, fmt: Format = "text", taken: frozenset[str] = NO_NAMES) -> str:
        """Return the metrics as text. See `write`."""
        return self.write(metrics, fmt, taken)[0]

    def write(self, metrics: Metrics, fmt: Format = "text", taken: frozenset[str] = NO_NAMES) -> tuple[str, Layout]:
        """Return the metrics in their order, without families that have no series, and their layout.

        ``taken`` are the names of other families of the response; series with such names are left out. Raises
        ValueError, TypeError or OverflowError for an invalid sample, such as a wrong number of label values.
        """
        shape: Shape = []
        values: list[float] = []
        for family, samples in metrics:
            if samples:
                shape.append(family)
                for labels, value in samples:
                    shape.append(labels)
                    values.append(value)
        # Most numbers are plain ints and finite floats, and Prometheus reads their notation in Python.
        is_plain = _PLAIN.issuperset(map(type, values)) and isfinite(sum(values, 0.0))
        known = self._known.get(fmt)
        if known is None or known.shape != shape or known.taken != taken:
            known = self._known[fmt] = _Known(shape, taken, NO_NAMES, lay_out(shape, fmt, taken, NO_NAMES))
        text = _formatted(known.layout, values, is_plain=is_plain)
        if fmt == "openmetrics":
            # A search for the sign is faster than a comparison of every number. It may also find a help text.
            unknown = _invalid_counters(metrics) if not is_plain or " -" in text else NO_NAMES
            if unknown != known.unknown:
                known = self._known[fmt] = _Known(shape, taken, unknown, lay_out(shape, fmt, taken, unknown))
                text = _formatted(known.layout, values, is_plain=is_plain)
        return text, known.layout


def _formatted(layout: Layout, values: list[float], *, is_plain: bool) -> str:
    """Return the template with the numbers; ``is_plain`` is whether Python's notation of each number is valid."""
    if layout.order is not None:
        values = [values[position] for position in layout.order]
    return layout.template % tuple(values if is_plain else map(number_text, values))


def _invalid_counters(metrics: Metrics) -> frozenset[str]:
    """Return the counters with a value that OpenMetrics does not allow: below zero, or not a number.

    A family of another type with the name of a counter adds its series to the counter.
    """
    counters = {family.name for family, _ in metrics if family.kind == "counter"}
    named = [(family.name, samples) for family, samples in metrics if family.name in counters]
    return frozenset([name for name, samples in named if [value for _, value in samples if not value >= 0]])
