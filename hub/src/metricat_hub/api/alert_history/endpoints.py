"""Endpoints of the alert history."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec
from starlette.responses import Response

from metricat_hub.api.alert_history.bodies import AlertEpisode, AlertEpisodes, AlertEventView, AlertTimeline
from metricat_hub.api.alert_history.views import as_csv, episode_view, event_view, statistics_view
from metricat_hub.api.answers import known_tags, not_modified, tag_of
from metricat_hub.api.problems import Problem
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.services import services
from metricat_hub.model.alert_history import STATES, EpisodeFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from metricat_hub.api.rest.parameters import Query
    from metricat_hub.api.services import Services
    from metricat_hub.model.alert_history import AlertHistory, Position

T = TypeVar("T")
RANGE = 7 * 86_400_000
"""Default length of the time range of a request without `start`, in milliseconds."""
PAGE = 100
TOP, MOST_TOP = 10, 100
FORMATS = ("json", "csv")
FIRED = ("firing", "resolved")
"""The states that a request without `state` selects."""
_CURSOR = re.compile(r"(-?[0-9]{1,18})\.([0-9]{1,18})", re.ASCII)
_EARLIEST, _LATEST = -62_135_596_800_000, 253_402_300_799_999
"""Start and end of the years 1 to 9999, in milliseconds since 1970."""


async def alert_history(request: Request) -> Response:
    """Return episodes of alerts."""
    own, query = services(request), await read_query(request)
    wanted, page = _wanted(own, query), _page(query)

    def work() -> Response:
        found, following = _paged(
            lambda after, limit: _history(own).episodes(wanted, after, limit),
            page,
            lambda one: (one.started, one.number),
        )
        views = [episode_view(one) for one in found]
        if _format(request, query) == "csv":
            return _csv(request, AlertEpisode, views, following)
        return _json(request, AlertEpisodes(views, following))

    return await own.threads.run(request, lambda _: work())


async def alert_timeline(request: Request) -> Response:
    """Return the events of an alert."""
    own, query = services(request), await read_query(request)
    fingerprint, page = request.path_params["fingerprint"], _page(query)
    end = _time(query, "end", _LATEST)
    start = _time(query, "start", _EARLIEST)
    wanted = EpisodeFilter(start, end, fingerprints=(fingerprint,), namespaces=own.namespaces)

    def work() -> Response:
        history = _history(own)
        newest = history.latest(fingerprint, own.namespaces)
        if newest is None:
            raise Problem(
                404,
                f"no alert has the fingerprint {fingerprint[:100]!r}; list the alerts with: GET /api/v1/alerts/history",
            )
        found, following = _paged(
            lambda after, limit: history.timeline(wanted, after, limit), page, lambda one: (one.event.at, one.number)
        )
        views = [event_view(one) for one in found]
        if _format(request, query) == "csv":
            return _csv(request, AlertEventView, views, following)
        return _json(
            request,
            AlertTimeline(fingerprint, newest.label("alertname"), dict(newest.labels), views, following),
        )

    return await own.threads.run(request, lambda _: work())


async def alert_statistics(request: Request) -> Response:
    """Return statistics of alerts."""
    own, query = services(request), await read_query(request)
    wanted = _wanted(own, query)
    text = query.text("top")
    if text and not (re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) and 1 <= int(text) <= MOST_TOP):
        raise query.error("top", f"{text[:100]!r} is not a number from 1 to {MOST_TOP}; write for example 10")

    def work() -> Response:
        return _json(request, statistics_view(_history(own).statistics(wanted, int(text or TOP)), wanted))

    return await own.threads.run(request, lambda _: work())


def position(cursor: str) -> Position | None:
    """Decode a cursor; return None for an empty text. Raise ValueError if the text is not a cursor."""
    if not cursor:
        return None
    found = _CURSOR.fullmatch(base64.urlsafe_b64decode(cursor).decode("ascii"))
    if not found:
        raise ValueError("not a position")
    return int(found[1]), int(found[2])


def cursor(at: Position) -> str:
    """Encode a position as a cursor."""
    return base64.urlsafe_b64encode(f"{at[0]}.{at[1]}".encode()).decode()


def _history(own: Services) -> AlertHistory:
    if own.alert_history is None:
        raise Problem(404, "this hub has no alert history; use a hub that evaluates rules")
    return own.alert_history


def _wanted(own: Services, query: Query) -> EpisodeFilter:
    """Return the episodes that the parameters select."""
    end = _time(query, "end", own.now())
    start = _time(query, "start", end - RANGE)
    if start > end:
        raise query.error("start", "the start is after the end; give an earlier time")
    states = query.all("state")
    for state in states:
        if state not in STATES:
            raise query.error("state", f"{state[:100]!r} is unknown; write {', '.join(STATES[:-1])} or {STATES[-1]}")
    return EpisodeFilter(
        start=start,
        end=end,
        states=states or FIRED,
        names=query.all("alert"),
        nodes=query.all("node"),
        severities=query.all("severity"),
        receivers=query.all("receiver"),
        namespaces=own.namespaces,
    )


def _time(query: Query, name: str, default: int) -> int:
    found = query.time(name, default)
    if not _EARLIEST <= found <= _LATEST:
        raise query.error(name, "the time is not within the years 1 to 9999; write for example 2026-01-31T12:00:00Z")
    return found


def _page(query: Query) -> tuple[Position | None, int]:
    """Return the position before the page, and the number of its entries."""
    limit = query.limit(PAGE)
    try:
        return position(query.text("cursor")), limit
    except ValueError:
        raise query.error(
            "cursor", "the value is not a cursor; send the value of `next` in the previous response unchanged"
        ) from None


def _paged(
    read: Callable[[Position | None, int], Sequence[T]],
    page: tuple[Position | None, int],
    place: Callable[[T], Position],
) -> tuple[list[T], str | None]:
    """Return the entries of a page, and the cursor of the next page if there is one."""
    after, limit = page
    found = list(read(after, limit + 1))
    return found[:limit], cursor(place(found[limit - 1])) if len(found) > limit else None


def _format(request: Request, query: Query) -> str:
    """Return the format of the response: that of the parameter, or the one that the client prefers."""
    if given := query.choice("format", FORMATS):
        return given
    accepted = request.headers.get("accept", "").lower()
    return "csv" if "text/csv" in accepted and "application/json" not in accepted else "json"


def _json(request: Request, content: Any) -> Response:
    return _response(request, msgspec.json.encode(content), "application/json", {})


def _csv(
    request: Request, kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], following: str | None
) -> Response:
    """Return rows as CSV. The header `Link` has the address of the next page."""
    headers = {"Content-Disposition": 'attachment; filename="alerts.csv"'}
    if following:
        given = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        pairs = [(name, value) for name, value in given if name not in {"cursor", "format"}]
        query = urlencode([*pairs, ("format", "csv"), ("cursor", following)])
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return _response(request, as_csv(kind, rows), "text/csv; charset=utf-8; header=present", headers)


def _response(request: Request, body: bytes, media: str, headers: dict[str, str]) -> Response:
    """Return a body with its ETag, or 304 if the client has it."""
    tag = tag_of(hashlib.blake2b(body, digest_size=16).hexdigest())
    known = known_tags(request)
    if tag in known or "W/*" in known:
        return not_modified(tag)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept", **headers}
    return Response(body, headers=headers, media_type=media)
