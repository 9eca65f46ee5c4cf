"""The response for each path. The only module that holds the paths."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.exposition.writer import CONTENT_TYPES
from metricat_agent.scrape.registry import UnknownCollectorError
from metricat_agent.web.http_parser import METHODS, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Protocol

    from metricat_agent.exposition.layout import Format
    from metricat_agent.scrape.registry import ScrapeResult

    class Scrape(Protocol):
        """The signature of `Registry.page`."""

        def __call__(
            self, fmt: Format = ..., collect: Collection[str] = ..., exclude: Collection[str] = ...
        ) -> ScrapeResult:
            """Return one scrape."""


class Router:
    """Responds to requests. Thread-safe. At most `max_requests` scrapes run or wait at the same time; 0: any number."""

    def __init__(self, scrape: Scrape, telemetry_path: str = "/metrics", max_requests: int = 40) -> None:
        self._scrape = scrape
        self._telemetry_path = telemetry_path
        self._scrapes = threading.BoundedSemaphore(max_requests) if max_requests else None
        self.stopping = False
        self._routes: dict[str, Callable[[Request], Response]] = {
            "/": self._landing,
            telemetry_path: self._metrics,
            "/-/healthy": lambda _: Response(200, b"healthy\n"),
            "/-/ready": lambda _: Response(503, b"stopping\n") if self.stopping else Response(200, b"ready\n"),
        }

    def respond(self, request: Request) -> Response:
        """Return the response to a request."""
        if request.method not in METHODS:
            message = f"method not allowed: use {' or '.join(METHODS)}\n".encode()
            return Response(405, message, headers=(("Allow", ", ".join(METHODS)),))
        route = self._routes.get(request.path)
        if route is None:
            return Response(404, f"not found: the metrics are at {self._telemetry_path}\n".encode())
        return route(request)

    def _metrics(self, request: Request) -> Response:
        collect, exclude = request.values("collect[]"), request.values("exclude[]")
        if collect and exclude:
            return Response(400, b"collect[] and exclude[] cannot be combined: use one of them\n")
        if self._scrapes is not None and not self._scrapes.acquire(blocking=False):
            return Response(
                503, b"too many concurrent scrapes: retry after 1 second\n", headers=(("Retry-After", "1"),)
            )
        fmt: Format = "openmetrics" if request.prefers_openmetrics else "text"
        try:
            result = self._scrape(fmt, collect, exclude)
        except UnknownCollectorError as error:
            return Response(
                400, f"unknown or disabled collectors: {error}; enable them, or remove them from the URL\n".encode()
            )
        finally:
            if self._scrapes is not None:
                self._scrapes.release()
        return Response(200, result.plain, CONTENT_TYPES[fmt], gzipped=lambda: result.gzipped)

    def _landing(self, _: Request) -> Response:
        path = self._telemetry_path
        return Response(
            200,
            (
                '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Metricat agent</title></head>\n'
                f"<body>\n<h1>Metricat agent {__version__}</h1>\n"
                f'<p>The node\'s metrics, for Prometheus: <a href="{path}">{path}</a></p>\n'
                "</body>\n</html>\n"
            ).encode(),
            "text/html; charset=utf-8",
        )
