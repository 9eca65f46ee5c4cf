"""Fast writer of Prometheus' text format 0.0.4 and OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/.
The text around the numbers is the same at almost every scrape, so it is written once and kept. See
docs/design/0005 and docs/design/0015.
"""

from __future__ import annotations

from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Literal

from metricat_agent.exposition.model import BOUNDS, Family

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Metrics

Format = Literal["text", "openmetrics"]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPES: dict[Format, str] = {
    "text": CONTENT_TYPE,
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
TRAILERS: dict[Format, str] = {"text": "", "openmetrics": "# EOF\n"}
"""The last line of a page."""
_PLAIN = frozenset((int, float))
_Shape = list["Family | tuple[str, ...]"]
"""Families, each followed by the label values of its series."""


def utf8(text: str) -> str:
    r"""Return the text as valid UTF-8; other bytes become escapes such as ``\xff``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def label_text(value: str) -> str:
    """Return a label's value, escaped as between the quotes."""
    return utf8(value).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number_text(value: float) -> str:
    """Return the text of a number, which parses back to the same number."""
    if isinstance(value, int):
        return str(int(value))
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if isnan(value) else repr(value)


def head_text(family: Family) -> str:
    """Return the HELP and TYPE lines of a family in the text format."""
    text = utf8(family.help).replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {family.name} {text}\n# TYPE {family.name} {family.kind}\n"


def openmetrics_head_text(family: Family) -> str:
    """Return the HELP and TYPE lines in OpenMetrics.

    The family of a counter drops the suffix ``_total``. A counter without that suffix has the type unknown.
    """
    name, kind = family.name, family.kind
    if kind == "counter" and name.endswith("_total"):
        name = name.removesuffix("_total")
    elif kind in ("counter", "untyped"):
        return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} unknown\n"
    return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} {kind}\n"


def series_text(family: Family, values: tuple[str, ...], fmt: Format = "text") -> str:
    """Return a line up to its number; raise ValueError if the number of label values differs from the family's."""
    if not values and not family.labels:
        return f"{family.name} "
    if family.kind in BOUNDS:
        return _part_text(family, values, fmt)
    pairs = ",".join(f'{label}="{label_text(value)}"' for label, value in zip(family.labels, values, strict=True))
    return f"{family.name}{{{pairs}}} "


def _part_text(family: Family, values: tuple[str, ...], fmt: Format) -> str:
    """Return a line of a histogram or summary up to its number; OpenMetrics requires bounds as floats."""
    *values_of_labels, part = values
    shown = {label: value for label, value in zip(family.labels, values_of_labels, strict=True) if value}
    bound = BOUNDS[family.kind]
    if fmt == "openmetrics" and bound in shown:
        shown[bound] = number_text(float(shown[bound]))
    pairs = ",".join(f'{label}="{label_text(value)}"' for label, value in shown.items())
    return f"{family.name}{part}{{{pairs}}} " if pairs else f"{family.name}{part} "


class Writer:
    """Writes the metrics of one source repeatedly: everything but the numbers is written only when it changes.

    A source mostly has the same families with the same labels at every scrape. The text around the numbers is written
    and escaped once, as a template for all numbers.
    """

    def __init__(self) -> None:
        self._known: dict[Format, tuple[_Shape, str]] = {}

    def text(self, metrics: Metrics, fmt: Format = "text") -> str:
        """Return the metrics in their order, without families that have no series.

        Raises ValueError or TypeError for an invalid sample: too few labels, or a value that is not a number.
        """
        shape: _Shape = []
        values: list[float] = []
        for family, samples in metrics:
            if samples:
                shape.append(family)
                for labels, value in samples:
                    shape.append(labels)
                    values.append(value)
        known, template = self._known.get(fmt, ([], ""))
        if shape != known:
            template = _template(shape, fmt)
            self._known[fmt] = (shape, template)
        # Most numbers are plain ints and finite floats, and Prometheus reads their notation in Python.
        if _PLAIN.issuperset(map(type, values)) and isfinite(sum(values)):
            return template % tuple(values)
        return template % tuple(map(number_text, values))


def _template(shape: _Shape, fmt: Format) -> str:
    """Return the page of metrics with this shape, with ``%s`` for each number."""
    head = head_text if fmt == "text" else openmetrics_head_text
    parts: list[str] = []
    for item in shape:
        if isinstance(item, Family):
            family = item
            parts.append(head(family).replace("%", "%%"))
        else:
            parts.append(f"{series_text(family, item, fmt).replace('%', '%%')}%s\n")
    return "".join(parts)
