"""The lines about one alert, which several channels show. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.notify.content import one_line

if TYPE_CHECKING:
    from metricat_hub.notify.content import AlertText

_MOST = 1_000
"""The most characters of one line."""


def rows(text: AlertText) -> list[tuple[str, str]]:
    """Return the lines about an alert as pairs of name and value, without summary, description and links."""
    found = []
    if text.value:
        found.append(("Value", f"{text.value} (threshold {text.threshold})" if text.threshold else text.value))
    found.append(("Since" if text.status == "firing" else "From", text.since))
    if text.trend:
        found.append(("Last hour", text.trend.text))
    if text.action and text.status == "firing":
        found.append(("First step", one_line(text.action, _MOST)))
    found += [(name, one_line(value, _MOST)) for name, value in text.further.items()]
    return found


def description(text: AlertText) -> str:
    """Return the description of an alert as one line of at most 3,000 characters."""
    return one_line(text.description, 3 * _MOST)


def links(text: AlertText) -> list[tuple[str, str]]:
    """Return name and URL of each page about an alert. Only URLs with http or https are included."""
    pairs = (("Details", text.link), ("Runbook", text.runbook))
    return [(name, url) for name, url in pairs if url.startswith(("http://", "https://")) and url.isprintable()]
