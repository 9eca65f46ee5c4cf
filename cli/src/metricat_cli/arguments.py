"""Types of command-line arguments. Each raises `typer.BadParameter` for a wrong value, with an example."""

import re

from typer import BadParameter

from metricat_cli.masking import masked_text
from metricat_rules.durations import DurationError, prometheus_seconds

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MOST_SECONDS = 50 * 365 * 86_400.0
"""Longer times begin before the Unix epoch."""


def duration(text: str | float) -> float:
    """Return the seconds of a duration such as `7d` or `1h30m`, above zero and up to 50 years."""
    try:
        seconds = prometheus_seconds(str(text))
    except DurationError as error:
        raise BadParameter(str(error)) from None
    if not seconds:
        raise BadParameter(f"invalid duration {text!r}: it is zero; use for example 7d, 12h or 30s")
    if seconds > _MOST_SECONDS:
        raise BadParameter(f"invalid duration {text!r}: it is above 50 years; use for example 7d, 12h or 30s")
    return seconds


def url(text: str) -> str:
    """Return the URL if its scheme is http or https."""
    if not re.fullmatch(r"https?://[^/\s?#][^\s?#]*", text):
        raise BadParameter(f"invalid URL {masked_text(text)!r}; use for example http://localhost:9090")
    return text


def header(text: str) -> tuple[str, str]:
    """Return the name and the value of an HTTP header. Errors do not contain the text, which can be a secret."""
    name, colon, value = text.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name.strip()):
        raise BadParameter("invalid header; use for example 'Authorization: Bearer TOKEN'")
    if not value.strip().isprintable():
        raise BadParameter(f"invalid header {name.strip()}: its value has a character that is not printable; remove it")
    return name.strip(), value.strip()
