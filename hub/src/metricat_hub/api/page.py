"""The web page of the hub: the files that `make web` builds from web/, and the paths of its views.

See docs/design/0044-page.md, and docs/design/0047-layout-as-text.md about its tests.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from metricat_hub.api.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute

FILES = Path(__file__).parent.parent / "page"
"""The directory to which `make web` writes."""
VIEWS = ("nodes", "busiest", "compare", "processes", "explore", "alerts", "rules", "coverage", "settings")
"""The first part of the path of each view, apart from `/`."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-cache",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_FOREVER = "public, max-age=31536000, immutable"
"""Cache-Control of files whose name contains a hash of their content."""
_MEDIA = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
}
_NAME = re.compile(r"[A-Za-z0-9_-]+-[A-Za-z0-9]{8}\.(?:js|css|svg)")
_MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Metricat</title>
<h1>The page is not built</h1>
<p>This checkout has no built page. Install Node.js 18 or newer, run <code>make web</code>, and reload.</p>
<p>The <a href="/docs">API</a> works without the page.</p>
"""


async def view(request: Request) -> Response:
    """Return the page. Its script shows the view of the path."""
    content = _read("index.html")
    if content is None:
        return HTMLResponse(_MISSING, 503, _HEADERS)
    return _response(request, "index.html", content, _HEADERS)


async def asset(request: Request) -> Response:
    """Return a script, a style sheet or an image of the page."""
    name = request.path_params["name"]
    content = _read(name) if _NAME.fullmatch(name) else None
    if content is None:
        raise Problem(404, f"the web page has no file {name[:100]}; reload the page in the browser")
    return _response(request, name, content, {"Cache-Control": _FOREVER})


def _response(request: Request, name: str, content: bytes, headers: dict[str, str]) -> Response:
    """Return a file, compressed if the client accepts gzip."""
    found = {"Vary": "Accept-Encoding", **headers}
    packed = _read(f"{name}.gz") if "gzip" in request.headers.get("accept-encoding", "") else None
    if packed is not None:
        found["Content-Encoding"] = "gzip"
    return Response(packed or content, headers=found, media_type=_MEDIA[Path(name).suffix])


def _read(name: str) -> bytes | None:
    """Return the content of a file of the page; None if it does not exist."""
    try:
        stat = (FILES / name).stat()
    except OSError:
        return None
    return _content(name, stat.st_mtime_ns)


@cache
def _content(name: str, changed: int) -> bytes:  # noqa: ARG001 -- part of the cache's key
    return (FILES / name).read_bytes()


ROUTES: tuple[BaseRoute, ...] = (
    Route("/", view),
    Route("/assets/{name}", asset),
    *(Route(path, view) for name in VIEWS for path in (f"/{name}", f"/{name}/{{rest:path}}")),
)
