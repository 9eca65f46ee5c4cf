"""Asks a Prometheus for history, in pieces that it takes (prometheus.io/docs/prometheus/latest/querying/api)."""

import json
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
"""Prometheus gives at most 11,000 points of a series at once."""
_SECONDS = 120


@dataclass(frozen=True)
class Prometheus:
    """Where it is, and what to send along."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def instants(self, expr: str, start: float, end: float, step: float) -> dict[Labels, list[float]]:
        """At which of the evaluations from start to end each series of the expression's result was there.

        Raises:
            CommandError: it cannot be reached, or does not answer this.
        """
        found: dict[Labels, list[float]] = defaultdict(list)
        while start <= end:
            last = min(end, start + (_MOST_POINTS - 1) * step)
            asked = {"query": expr, "start": f"{start:.3f}", "end": f"{last:.3f}", "step": f"{step:g}"}
            for series in self._ask("query_range", asked)["result"]:
                labels = tuple(sorted((name, value) for name, value in series["metric"].items() if name != "__name__"))
                found[labels] += [at for at, _ in series["values"]]
            start = last + step
        return dict(found)

    def _ask(self, what: str, query: Mapping[str, str]) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{what}"
        body = urllib.parse.urlencode(query).encode()
        try:
            request = urllib.request.Request(url, body, dict(self.headers))  # noqa: S310 -- http and https only: checked
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise CommandError(f"{self.url} answers {error.code}: {_told(error.read())}") from error
        except OSError as error:
            why = getattr(error, "reason", error)
            raise CommandError(f"cannot reach {self.url}: {why}; is the port-forward running?") from error
        except (ValueError, KeyError) as error:
            raise CommandError(f"{url} does not answer like a Prometheus; --prometheus takes its base URL") from error


def _told(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace").strip() or "nothing"
