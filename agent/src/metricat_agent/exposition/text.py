"""Numbers, label values and the HELP and TYPE lines in Prometheus' text formats. Pure."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Family


def utf8(text: str) -> str:
    r"""Return the text as valid UTF-8 without NUL.

    Invalid bytes, and NUL, at which Prometheus stops, become escapes (``\xff``).
    """
    if text.isascii() and "\0" not in text:
        return text
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that do not represent a byte
        data = text.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace").replace("\0", r"\x00")


def label_text(value: str) -> str:
    """Return a label's value, escaped as between the quotes."""
    return utf8(value).replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def number_text(value: float) -> str:
    """Return the text of a number without loss of precision.

    Raises OverflowError for an int above every float: Prometheus would reject the whole scrape.
    """
    if isinstance(value, int):
        float(value)
        return str(int(value))
    if value in (inf, -inf):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if isnan(value) else repr(value)


def head_text(family: Family) -> str:
    """Return the HELP and TYPE lines of a family in the text format.

    A counter with the name ``_total`` has the type untyped: parsers that convert to OpenMetrics drop this suffix.
    """
    kind = "untyped" if family.kind == "counter" and family.name == "_total" else family.kind
    text = utf8(family.help).replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {family.name} {text}\n# TYPE {family.name} {kind}\n"


def openmetrics_head_text(family: Family, *, typed: bool = True) -> str:
    """Return the HELP and TYPE lines in OpenMetrics.

    The family of a counter drops the suffix ``_total``. A counter that is not ``typed`` has the type unknown.
    """
    name, kind = family.name, family.kind
    if kind == "counter" and typed:
        name = name.removesuffix("_total")
    elif kind in ("counter", "untyped"):
        return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} unknown\n"
    return f"# HELP {name} {label_text(family.help)}\n# TYPE {name} {kind}\n"
