"""Client of Prometheus' HTTP API (prometheus.io/docs/prometheus/latest/querying/api): queries, alerts, targets."""

import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metricat_cli.errors import CommandError
from metricat_cli.http_body import read_body

Labels = tuple[tuple[str, str], ...]
_MOST_POINTS = 10_000
"""Prometheus returns at most 11,000 points of a series in one response."""
_SECONDS = 120
"""The time limit for the next bytes of a response."""
_WHOLE_SECONDS = 480
_MOST_BYTES = 256 << 20
"""Of one response, as for responses of the API server."""
_MOST_ERROR = 64 << 10
_CREDENTIALS = "It requires other credentials. Set --http.config.file to a file with basic_auth or authorization"
_BASE = "Set --prometheus to the base URL of Prometheus"
_REMEDIES = {
    401: _CREDENTIALS,
    403: _CREDENTIALS,
    **dict.fromkeys((301, 302, 303, 307, 308, 404, 405), _BASE),
    422: "Check the query",
    503: "Use a shorter --since, or try again",
}
"""What to do about each status."""


@dataclass(frozen=True)
class PrometheusClient:
    """A Prometheus: its base URL, the headers of every request, and TLS settings that are not the defaults."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None

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
            for series in self._list("query_range", query, "result", metric=dict, values=list):
                labels = tuple(sorted((name, value) for name, value in series["metric"].items() if name != "__name__"))
                try:
                    found[labels] += [at for at, _ in series["values"]]
                except (TypeError, ValueError) as error:
                    raise self._foreign() from error
            start = last + step
        return dict(found)

    def query(self, expr: str) -> list[Any]:
        """Return the result of an instant query: a list of `metric` and `value`."""
        found = self._list("query", {"query": expr}, "result", metric=dict, value=list)
        if not all(map(_is_sample, (one["value"] for one in found))):
            raise self._foreign()
        return found

    def alerts(self) -> list[Mapping[str, Any]]:
        """Return the pending and firing alerts."""
        return self._list("alerts", {}, "alerts", labels=dict)

    def scrape_targets(self) -> list[Mapping[str, Any]]:
        """Return the active scrape targets."""
        return self._list("targets", {"state": "active"}, "activeTargets", labels=dict)

    def _list(self, endpoint: str, query: Mapping[str, str], key: str, **fields: type) -> list[Any]:
        """Return the list below a key of the response, whose entries have these fields."""
        data = self._request(endpoint, query)
        found = data.get(key) if isinstance(data, dict) else None
        if isinstance(found, list) and all(
            isinstance(one, dict) and all(isinstance(one.get(name), form) for name, form in fields.items())
            for one in found
        ):
            return found
        raise self._foreign()

    def _foreign(self) -> CommandError:
        return CommandError(f"{self.url}: the response is not a result of the Prometheus API. {_BASE}")

    def _request(self, endpoint: str, query: Mapping[str, str]) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{endpoint}"
        body = urllib.parse.urlencode(query).encode() or None  # without a body, it is a GET: `alerts` accepts no POST
        if endpoint == "targets":
            url, body = f"{url}?{urllib.parse.urlencode(query)}", None  # it accepts no POST
        try:
            request = urllib.request.Request(url, body, dict(self.headers))  # noqa: S310 -- http and https only: checked
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=self.tls), _NoRedirects)
            with opener.open(request, timeout=_SECONDS) as response:
                answer = read_body(response, _MOST_BYTES, _WHOLE_SECONDS)
        except urllib.error.HTTPError as error:
            remedy = _REMEDIES.get(error.code, "Check the log of Prometheus")
            text = _error_text(error.read(_MOST_ERROR)).removesuffix(".")
            raise CommandError(f"{self.url} returned {error.code}: {text}. {remedy}") from error
        except http.client.IncompleteRead as error:
            raise CommandError(f"{self.url}: the response ends too early. Check the network, and try again") from error
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
            raise self._foreign() from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: the headers may have credentials, which only this server may get."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Return no request for the new URL. The response with the redirect then raises `HTTPError`."""


def _is_sample(value: Any) -> bool:
    try:
        at, number = value
        return isinstance(float(at) + float(number), float)
    except (TypeError, ValueError):
        return False


def _error_text(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return " ".join(body[:200].decode(errors="replace").split()) or "empty response"
