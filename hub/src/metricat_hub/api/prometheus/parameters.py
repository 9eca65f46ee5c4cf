"""Parameters of the Prometheus HTTP API, with Prometheus' syntax and error messages."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

MAX_BODY = 10 << 20
"""The most bytes of a form, the same as in Go's HTTP server."""
MIN_TIME, MAX_TIME = -(2**53), 2**53
"""Start and end of a request without `start` and `end`, in milliseconds since 1970."""
_MOST_SECONDS = 2**63 / 1e9
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS = {"-292273086-05-16T16:47:06Z": MIN_TIME, "292277025-08-18T07:12:54.999999999Z": MAX_TIME}
"""The times that clients of Prometheus send to mean "no start" and "no end", with their milliseconds."""


class ParameterError(ValueError):
    """A parameter is invalid. The response contains the message unchanged."""


class Parameters:
    """The parameters of a request. Parameters in a form body take precedence over those in the URL.

    The methods raise `ParameterError` for an invalid value.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    @classmethod
    async def of(cls, request: Request) -> Parameters:
        """Read the parameters of a request, from the URL and a form in the body.

        Raises:
            ParameterError: the form is too large or invalid.
        """
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise ParameterError("error parsing form values: http: POST too large")
        pairs: list[tuple[str, str]] = []
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and media == "application/x-www-form-urlencoded":
            try:
                pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
            except ValueError as error:
                raise ParameterError(f"error parsing form values: {error}") from None
        return cls(pairs + parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """All pairs of name and value, those of the form first."""
        return self._pairs

    def all(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return [value for key, value in self._pairs if key == name]

    def get(self, name: str) -> str:
        """Return the first value of a parameter; empty if it is missing."""
        return next((value for key, value in self._pairs if key == name), "")

    def time(self, name: str, default: int | None = None) -> int:
        """Return a time in milliseconds since 1970. The parameter is required if `default` is None."""
        text = self.get(name)
        if not text and default is not None:
            return default
        try:
            return parse_time(text)
        except ValueError as error:
            prefix = "" if default is None else f"invalid time value for '{name}': "
            raise ParameterError(f'invalid parameter "{name}": {prefix}{error}') from None

    def duration(self, name: str) -> float:
        """Return a duration in seconds."""
        try:
            return parse_seconds(self.get(name))
        except ValueError as error:
            raise ParameterError(f'invalid parameter "{name}": {error}') from None

    def limit(self) -> int:
        """Return the parameter `limit`; 0: no limit."""
        text = self.get("limit")
        if not text:
            return 0
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
            raise ParameterError(f'invalid parameter "limit": strconv.Atoi: parsing "{text}": invalid syntax')
        if int(text) < 0:
            raise ParameterError('invalid parameter "limit": limit must be non-negative')
        return int(text)


def parse_time(text: str) -> int:
    """Parse seconds since 1970 with decimals, or RFC 3339; return milliseconds since 1970. Raise ValueError."""
    if _FLOAT.fullmatch(text):
        fraction, whole = math.modf(float(text))
        if abs(whole) <= MAX_TIME // 1000:
            return int(whole) * 1000 + round(fraction * 1000)
    elif text in _BOUNDS:
        return _BOUNDS[text]
    elif found := _RFC3339.fullmatch(text):
        try:
            at = datetime.fromisoformat(f"{text[:19]}{found[2].replace('Z', '+00:00')}")
        except ValueError:
            pass
        else:
            return (at - _EPOCH) // timedelta(milliseconds=1) + int((found[1] or "0")[:3].ljust(3, "0"))
    raise ValueError(f'cannot parse "{text}" to a valid timestamp')


def parse_seconds(text: str) -> float:
    """Parse a number of seconds, or a duration such as `1m30s`; return seconds. Raise ValueError."""
    if _FLOAT.fullmatch(text):
        seconds = float(text)
        if not -_MOST_SECONDS <= seconds <= _MOST_SECONDS:
            raise ValueError(f'cannot parse "{text}" to a valid duration. It overflows int64')
        return seconds
    try:
        return parse_duration(text) / 1000
    except ValueError:
        raise ValueError(f'cannot parse "{text}" to a valid duration') from None
