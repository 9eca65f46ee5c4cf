"""Client of Prometheus' HTTP API (prometheus.io/docs/prometheus/latest/querying/api): queries, alerts, targets."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metricat_cli.errors import CommandError

Labels = tuple[tuple[str, str], ...]
_MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series in one response."""
_SECONDS = 120
"""The time limit for the next bytes of a response."""
_WHOLE_SECONDS = 480
_CHUNK = 2**18
_MOST_BYTES = 256 << 20
"""Of one response, as for responses of the API server."""
_MOST_ERROR = 64 << 10
NO_RESULT = "is not a result of the Prometheus API"


@dataclass(frozen=True)
class PrometheusClient:
    """A Prometheus: its base URL and the headers of every request."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def evaluations(self, expr: str, start: float, end: float, step: float) -> dict[Labels, list[float]]:
        """Return, for each series of the expression's result, the times from start to end at which it had a value.

        Times are in seconds since 1970 (UTC), `step` is in seconds.

        Raises:
            CommandError: Prometheus cannot be reached or does not return a result.
        """
        found: dict[Labels, list[float]] = defaultdict(list)
        while start <= end:
            last = min(end, start + (_MOST_POINTS - 1) * step)
            query = {"query": expr, "start": f"{start:.3f}", "end": f"{last:.3f}", "step": f"{step:g}"}
            for series in self._request("query_range", query)["result"]:
                labels = tuple(sorted((name, value) for name, value in series["metric"].items() if name != "__name__"))
                found[labels] += [at for at, _ in series["values"]]
            start = last + step
        return dict(found)

    def query(self, expr: str) -> list[Any]:
        """Return the result of an instant query: a list of `metric` and `value`."""
        return list(self._request("query", {"query": expr})["result"])

    def alerts(self) -> list[Mapping[str, Any]]:
        """Return the pending and firing alerts."""
        return list(self._request("alerts", {})["alerts"])

    def scrape_targets(self) -> list[Mapping[str, Any]]:
        """Return the active scrape targets."""
        return list(self._request("targets", {"state": "active"})["activeTargets"])

    def _request(self, endpoint: str, query: Mapping[str, str]) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{endpoint}"
        body = urllib.parse.urlencode(query).encode() or None  # without a body, it is a GET: `alerts` accepts no POST
        if endpoint == "targets":
            url, body = f"{url}?{urllib.parse.urlencode(query)}", None  # it accepts no POST
        try:
            request = urllib.request.Request(url, body, dict(self.headers))  # noqa: S310 -- http and https only: checked
            with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 -- as above
                answer = _body(response)
        except urllib.error.HTTPError as error:
            raise CommandError(f"{self.url} returned {error.code}: {_error_text(error.read(_MOST_ERROR))}") from error
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "reason", error)
            why = getattr(why, "strerror", None) or " ".join(str(why).split())
            raise CommandError(f"cannot reach {self.url}: {why}. Check the URL and any port-forward") from error
        if len(answer) > _MOST_BYTES:
            raise CommandError(
                f"{self.url} returned more than {_MOST_BYTES >> 20} MiB. Query fewer series or less time"
            )
        try:
            return json.loads(answer)["data"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CommandError(
                f"{url}: the response {NO_RESULT}. Set --prometheus to the base URL of Prometheus"
            ) from error


def _body(response: http.client.HTTPResponse) -> bytes:
    """Return the body of a response, up to one byte above the limit."""
    end = time.monotonic() + _WHOLE_SECONDS
    content = bytearray()
    while len(content) <= _MOST_BYTES and (part := response.read1(_CHUNK)):
        content += part
        if time.monotonic() > end:
            raise TimeoutError(f"no complete response within {_WHOLE_SECONDS} s")
    if response.length and len(content) <= _MOST_BYTES:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)


def _error_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[:200].decode(errors="replace").strip() or "empty response"
