"""Prometheus' text format 0.0.4 and OpenMetrics 1.0, written quickly.

https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/.
The part of a line before its number is the same at every scrape and in both formats, so it is made (and escaped) once
per series and kept.
"""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from metricat_agent.families import Family, Metrics

Format = Literal["text", "openmetrics"]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPES: dict[Format, str] = {
    "text": CONTENT_TYPE,
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
ENDS: dict[Format, str] = {"text": "", "openmetrics": "# EOF\n"}
"""What a page ends with."""
_MAX_KEPT = 50_000


def utf8(text: str) -> str:
    r"""Return the text as valid UTF-8, foreign bytes shown as ``\xff``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def label_text(value: str) -> str:
    """Return a label's value as it stands between the quotes."""
    return utf8(value).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number_text(value: float) -> str:
    """Return a number so that it is read back as the same one."""
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
    """Return the same for OpenMetrics: a counter's family is called without ``_total``, and must have it."""
    name, kind = family.name, family.kind
    if kind == "counter" and name.endswith("_total"):
        name = name.removesuffix("_total")
    elif kind != "gauge":
        return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} unknown\n"
    return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} {kind}\n"


def series_text(family: Family, values: tuple[str, ...]) -> str:
    """Return a line up to its number; refuse another number of label values than the family declares."""
    if not values and not family.labels:
        return f"{family.name} "
    pairs = ",".join(f'{label}="{label_text(value)}"' for label, value in zip(family.labels, values, strict=True))
    return f"{family.name}{{{pairs}}} "


class Writer:
    """Writes metrics as text, remembering the beginnings of lines. Threads may share one."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[Family, str, str, dict[tuple[str, ...], str]]] = {}
        self._kept = 0

    def text(self, metrics: Metrics, form: Format = "text") -> str:
        """Return the metrics in their order; a family without series is left out altogether.

        Raises what a sample deserves that is none: too few labels, a number that is no number.
        """
        if self._kept > _MAX_KEPT:  # devices came and went for months: begin anew rather than grow
            self._families, self._kept = {}, 0
        parts: list[str] = []
        for family, samples in metrics:
            if not samples:
                continue
            known = self._families.get(family.name)
            if known is None or (known[0] is not family and known[0] != family):
                known = self._families[family.name] = (family, head_text(family), openmetrics_head_text(family), {})
            _, head, openmetrics_head, beginnings = known
            parts.append(head if form == "text" else openmetrics_head)
            for values, value in samples:
                beginning = beginnings.get(values)
                if beginning is None:
                    beginning = beginnings[values] = series_text(family, values)
                    self._kept += 1
                kind = type(value)
                # Most numbers are plain ints; a finite float's own notation is what Prometheus reads.
                if kind is int or (kind is float and -inf < value < inf):
                    parts.append(f"{beginning}{value}\n")
                else:
                    parts.append(f"{beginning}{number_text(value)}\n")
        return "".join(parts)
