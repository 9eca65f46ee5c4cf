"""Responses of the REST API: JSON with an ETag, and lists in pages."""

from __future__ import annotations

import base64
import hashlib
import math
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.responses import Response

from metricat_hub.api.answers import Window, known_tags, not_modified, tag_of
from metricat_hub.api.services import services
from metricat_hub.use_cases.metric_names import split_node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.requests import Request

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

T = TypeVar("T")
_OK = 200


async def respond(
    request: Request, work: Callable[[Services, Cancellation], Any], window: Window | None = None
) -> Response:
    """Run `work` in a thread, and return its result as JSON, or 304 if the client already has the result.

    With a window, the response may come from the cache, and clients with equal requests share one evaluation.
    """
    own = services(request)

    def run(cancellation: Cancellation) -> Response:
        body = msgspec.json.encode(work(own, cancellation))
        headers = {
            "ETag": tag_of(hashlib.blake2b(body, digest_size=16).hexdigest()),
            "Cache-Control": "private, no-cache",
        }
        return Response(body, headers=headers, media_type="application/json")

    async def evaluate() -> Response:
        return await own.threads.run(request, run)

    if window is None or own.answers is None:
        response = await evaluate()
    else:
        response = await own.answers.respond(request, window, evaluate)
    known, tag = known_tags(request), response.headers.get("etag", "")
    return not_modified(tag) if response.status_code == _OK and (tag in known or "W/*" in known) else response


def paged(entries: Sequence[T], page: tuple[int, int]) -> tuple[list[T], str | None]:
    """Return the entries of one page, and the cursor of the next page; None: this is the last page."""
    first, count = page
    last = first + count
    following = base64.urlsafe_b64encode(str(last).encode()).decode() if last < len(entries) else None
    return list(entries[first:last]), following


def number(value: float) -> float | None:
    """Return the value for JSON: None for NaN and infinities, which JSON cannot express."""
    return value if math.isfinite(value) else None


def by_node(own: Services, cancellation: Cancellation, expression: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Evaluate an expression; yield node, other labels and value of each series with the label `node`."""
    result = own.queries.instant(expression, own.now(), cancellation)
    for labels, value in zip(result.labels, result.values.tolist(), strict=True):
        node, others = split_node(labels)
        if node:
            yield node, others, value
