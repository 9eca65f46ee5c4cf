"""Parameters of requests to the REST API."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from metricat_hub.api.answers import Window
from metricat_hub.api.problems import Problem
from metricat_hub.api.prometheus.parameters import ParameterError, Parameters, parse_seconds, parse_time
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from metricat_hub.model.ports import Matcher

LARGEST_PAGE, PAGE = 10_000, 1_000


class Query:
    """The parameters of a request to the REST API. Each error contains the parameter's name and a valid example."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def window(self, *resolved: int, end: int | None = None) -> Window:
        """Return the key to cache the response: all parameters, and `resolved`, the values of defaults.

        `end` is the time of the newest sample on which the response can depend, in milliseconds; None: the present.
        """
        return Window((*sorted(f"{name}={value}" for name, value in self._parameters.pairs), *resolved), end)

    def text(self, name: str) -> str:
        """Return a parameter; empty if it is missing. Raise an error if it has two different values."""
        values = self._parameters.all(name)
        if len(set(values)) > 1:
            raise self.error(name, "it has two different values; send one value")
        return values[0] if values else ""

    def required(self, name: str, example: str) -> str:
        """Return a required parameter; raise an error if it is missing."""
        if not (text := self.text(name)):
            raise self.error(name, f"it is missing; write for example ?{name}={example}")
        return text

    def time(self, name: str, default: int) -> int:
        """Return a time in milliseconds since 1970."""
        if not (text := self.text(name)):
            return default
        try:
            return parse_time(text)
        except ValueError as error:
            raise self.error(name, f"{error}; write for example 2026-01-31T12:00:00Z, or seconds since 1970") from None

    def milliseconds(self, name: str, default: int) -> int:
        """Return a duration in milliseconds, at least 1."""
        if not (text := self.text(name)):
            return default
        try:
            found = round(parse_seconds(text) * 1000)
        except ValueError as error:
            raise self.error(name, f"{error}; write for example 30s, 5m or 1h") from None
        if found < 1:
            raise self.error(name, "it must be above zero; write for example 30s, 5m or 1h")
        return found

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices; empty if the parameter is missing."""
        text = self.text(name)
        if text and text not in choices:
            raise self.error(name, f"{text[:100]!r} is unknown; write {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    def page(self) -> tuple[int, int]:
        """Return the position of the first entry, and the maximum number of entries."""
        count = self.limit(PAGE)
        cursor = self.text("cursor")
        try:
            first = position(cursor)
        except ValueError:
            raise self.error(
                "cursor", "the value is not a cursor; send the value of `next` in the previous response unchanged"
            ) from None
        return first, count

    def limit(self, default: int) -> int:
        """Return the maximum number of entries in the response."""
        text = self.text("limit")
        if text and not (re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) and 1 <= int(text) <= LARGEST_PAGE):
            raise self.error("limit", f"{text[:100]!r} is not a number from 1 to {LARGEST_PAGE}; write for example 100")
        return int(text or default)

    def all(self, name: str) -> list[str]:
        """Return the distinct non-empty values of a parameter."""
        return list(dict.fromkeys(value for value in self._parameters.all(name) if value))

    def nodes(self) -> list[str]:
        """Return the names of all requested nodes."""
        return self._parameters.all("node")

    def matchers(self) -> list[Matcher]:
        """Return label matchers for the parameters that select series."""
        return metric_names.matchers(self.nodes(), self.text("device"))

    def metrics(self) -> list[str]:
        """Return the distinct names of all requested metrics."""
        return list(dict.fromkeys(self._parameters.all("metric")))

    @staticmethod
    def error(name: str, why: str) -> Problem:
        """Return the error for an invalid parameter; `why` is the cause with a remedy."""
        return Problem(400, f"invalid parameter {name}: {why}", parameter=name)


def position(cursor: str) -> int:
    """Decode a cursor; return 0 for an empty text. Raise ValueError if the text is not a cursor."""
    if not cursor:
        return 0
    found = int(base64.urlsafe_b64decode(cursor).decode("ascii"))
    if found < 0:
        raise ValueError("negative position")
    return found


async def read_query(request: Request) -> Query:
    """Read the parameters of a request."""
    try:
        return Query(await Parameters.of(request))
    except ParameterError as error:
        raise Problem(400, str(error)) from None
