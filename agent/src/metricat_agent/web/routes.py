"""What each path answers. The only place that knows the paths."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.exposition.writer import CONTENT_TYPES
from metricat_agent.scrape.registry import UnknownCollectorError
from metricat_agent.web.http_parser import METHODS, Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Protocol

    from metricat_agent.exposition.writer import Format
    from metricat_agent.scrape.registry import ScrapeResult

    class Scrape(Protocol):
        """A registry's `page`."""

        def __call__(
            self, fmt: Format = ..., collect: Collection[str] = ..., exclude: Collection[str] = ...
        ) -> ScrapeResult:
            """Return one scrape."""


class Pages:
    """Answers requests; threads share it. No more than `requests` scrapes are waited for at a time."""

    def __init__(self, scrape: Scrape, telemetry_path: str = "/metrics", requests: int = 40) -> None:
        self._scrape = scrape
        self._telemetry_path = telemetry_path
        self._scrapes = threading.BoundedSemaphore(requests) if requests else None
        self.stopping = False

    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        pages: dict[str, Callable[[Request], Answer]] = {
            self._telemetry_path: self._metrics,
            "/": self._landing,
            "/-/healthy": lambda _: Answer(200, b"healthy\n"),
            "/-/ready": lambda _: Answer(503, b"stopping\n") if self.stopping else Answer(200, b"ready\n"),
        }
        if request.method not in METHODS:
            return Answer(405, f"only {' and '.join(METHODS)}\n".encode(), headers=(("Allow", ", ".join(METHODS)),))
        page = pages.get(request.path)
        if page is None:
            return Answer(404, f"nothing here; the metrics are at {self._telemetry_path}\n".encode())
        return page(request)

    def _metrics(self, request: Request) -> Answer:
        collect, exclude = request.values("collect[]"), request.values("exclude[]")
        if collect and exclude:
            return Answer(400, b"collect[] and exclude[] do not go together; give one of the two\n")
        if self._scrapes is not None and not self._scrapes.acquire(blocking=False):
            return Answer(503, b"too many scrapes at once; come back in a second\n", headers=(("Retry-After", "1"),))
        fmt: Format = "openmetrics" if request.takes_openmetrics else "text"
        try:
            page = self._scrape(fmt, collect, exclude)
        except UnknownCollectorError as error:
            return Answer(400, f"no such collector, or it is switched off: {error}\n".encode())
        finally:
            if self._scrapes is not None:
                self._scrapes.release()
        return Answer(200, page.plain, CONTENT_TYPES[fmt], gzipped=lambda: page.gzipped)

    def _landing(self, _: Request) -> Answer:
        path = self._telemetry_path
        return Answer(
            200,
            (
                '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Metricat agent</title></head>\n'
                f"<body>\n<h1>Metricat agent {__version__}</h1>\n"
                f'<p>The node\'s metrics, for Prometheus: <a href="{path}">{path}</a></p>\n'
                "</body>\n</html>\n"
            ).encode(),
            "text/html; charset=utf-8",
        )
