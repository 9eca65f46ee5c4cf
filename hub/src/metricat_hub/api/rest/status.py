"""Endpoint for the state of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub import __version__
from metricat_hub.api.prometheus.metadata import rfc3339
from metricat_hub.api.rest import types
from metricat_hub.api.rest.responses import respond
from metricat_hub.model.durations import format_duration

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

_HOUR = 3_600_000


async def status(request: Request) -> Response:
    """Return the state of the hub."""

    def work(own: Services, _: Cancellation) -> types.Status:
        now = own.now()
        states = [target.health for target in own.targets().active]
        problems = [*own.problems(), *own.degradations()]
        settings = own.settings
        return types.Status(
            status="degraded" if problems else "ok",
            problems=problems,
            server_id=settings.server_id if settings else "",
            version=__version__,
            timestamp=rfc3339(now),
            started=rfc3339(own.started),
            uptime_seconds=(now - own.started) / 1000,
            targets=types.TargetCounts(states.count("up"), states.count("down"), states.count("unknown")),
            series=len(own.store.series([[]], now - _HOUR, now)),
            retention={
                "raw": format_duration(settings.store.raw),
                "1m": format_duration(settings.store.minutes),
                "1h": format_duration(settings.store.hours),
            }
            if settings
            else {},
            collect_interval=format_duration(own.interval),
        )

    return await respond(request, work)
