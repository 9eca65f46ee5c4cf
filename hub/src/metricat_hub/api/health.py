"""Endpoints without authentication: health, the OpenAPI document, and the document as a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from metricat_hub.api.docs_page import page
from metricat_hub.api.operations import Operation
from metricat_hub.api.services import services

if TYPE_CHECKING:
    from starlette.requests import Request


async def healthz(request: Request) -> Response:  # noqa: ARG001 -- an endpoint
    """Return 200 while the event loop runs."""
    return PlainTextResponse("ok\n")


async def readyz(request: Request) -> Response:
    """Return 200 if the hub can store and query samples; otherwise 503 with the reasons."""
    problems = services(request).problems()
    return PlainTextResponse("\n".join(problems) + "\n" if problems else "ok\n", 503 if problems else 200)


async def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return Response(msgspec.json.encode(request.app.state.openapi()), media_type="application/json")


async def docs(request: Request) -> Response:
    """Return the documentation of the API as an HTML page."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(page(request.app.state.openapi()), headers={"Content-Security-Policy": policy})


OPERATIONS = (
    Operation(
        "/healthz", healthz, "Return 200 while the hub responds", "Hub", scope=None, media="text/plain", errors=()
    ),
    Operation(
        "/readyz",
        readyz,
        "Return 200 if the hub can store and query samples, otherwise 503 with the reasons",
        "Hub",
        scope=None,
        media="text/plain",
        errors=(503,),
    ),
    Operation("/openapi.json", openapi, "Return this OpenAPI document", "Hub", scope=None, errors=()),
    Operation(
        "/docs", docs, "Show the documentation of the API as a page", "Hub", scope=None, media="text/html", errors=()
    ),
)
