"""The format of a scrape response by its media type. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from metricat_hub.sources.scrape.page import PageError

if TYPE_CHECKING:
    from metricat_hub.sources.scrape.config import Protocol

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"\s*({_WORD}/{_WORD})\s*((?:;\s*{_WORD}=(?:{_WORD}|\"[^\"]*\")\s*)*);?\s*")
_VERSION = re.compile(r";\s*version=\"?([^\";\s]*)", re.IGNORECASE)


def is_openmetrics(content_type: str, fallback: Protocol | None) -> bool:
    """Return True for OpenMetrics, False for the text format.

    For any other or no media type, use the format `fallback`; raise `PageError` if it is None.
    """
    found = _MEDIA_TYPE.fullmatch(content_type)
    if found:
        version = _VERSION.search(found[2])
        if found[1].lower() == "text/plain":
            return False
        if found[1].lower() == "application/openmetrics-text" and not (version and version[1] == "2.0.0"):
            return True
    if fallback is None:
        what = f"the Content-Type {content_type!r} is not supported" if content_type else "the Content-Type is missing"
        raise PageError(f"{what}; set fallback_scrape_protocol, for example to PrometheusText0.0.4")
    return fallback.startswith("OpenMetrics")
