"""Redaction of log entries: secrets always; process names, paths and other values as `log.mask` requires."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl

from metricat_agent.config.masking import without_users

if TYPE_CHECKING:
    from collections.abc import Iterable

Mask: TypeAlias = Literal["all", "values", "none"]
MASKED: Final = "***"
_KEY = re.compile(r"metricat_([0-9a-f]{12})_[A-Za-z0-9_-]+")
_REFRESH = re.compile(r"\bmetricat-refresh_[A-Za-z0-9_-]+")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_SECRET = re.compile(r"(?i)pass|secret|token|ticket|key|code|state|nonce|assertion|cookie|auth|credential|signature")
_STRING = re.compile(r""""(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?""", re.DOTALL)
_EXPRESSIONS = frozenset({"query", "match[]"})
_PLAIN = frozenset(
    {"start", "end", "step", "time", "timeout", "limit", "cursor", "metric", "aggregation", "stats", "lookback_delta"}
)
"""Parameters whose values never contain process names or paths."""


def redacted(text: str) -> str:
    """Return a text without API keys, tokens, Authorization values and passwords in URLs."""
    text = _REFRESH.sub(MASKED, _KEY.sub(r"metricat_\1_***", text))
    text = _CREDENTIALS.sub(r"\1 ***", _JWT.sub(MASKED, text))
    return without_users(text)


def parameters(query: str, mask: Mask) -> dict[str, str | list[str]]:
    """Return the parameters of a URL's query, redacted for a log entry.

    The mask `all` hides every value. `values` keeps times, metric names and the structure of PromQL, and hides the
    strings in PromQL, because label values can be process names and paths. `none` hides secrets only.
    """
    found: dict[str, str | list[str]] = {}
    for name, value in _pairs(query):
        text = _masked(name, value, mask)
        before = found.get(name)
        found[name] = text if before is None else [*([before] if isinstance(before, str) else before), text]
    return found


def _pairs(query: str) -> Iterable[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return [("(too many)", "")]


def _masked(name: str, value: str, mask: Mask) -> str:
    if mask == "all" or (name not in _PLAIN and name not in _EXPRESSIONS and _SECRET.search(name)):
        return MASKED
    if mask == "values" and name in _EXPRESSIONS:
        value = _STRING.sub(f'"{MASKED}"', value)
    elif mask == "values" and name not in _PLAIN:
        return MASKED
    return redacted(value)[:2000]
