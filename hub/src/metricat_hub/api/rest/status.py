"""Endpoint for the state of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub import __version__
from metricat_hub.api.rest import types
from metricat_hub.api.rest.responses import respond
from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import HubError
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.remote.delivery import DeliveryState
    from metricat_hub.use_cases.cancellation import Cancellation


def _delivery(state: DeliveryState | None) -> types.Delivery | None:
    """Return the state of the buffer before the store; None if it has none."""
    if state is None:
        return None
    return types.Delivery(
        up=not state.failing_since,
        down_since=rfc3339(state.failing_since) if state.failing_since else None,
        error=state.error,
        waiting_samples=state.waiting_samples,
        waiting_bytes=state.waiting_bytes,
        sent_samples=state.sent,
        rejected_samples=state.rejected,
        dropped_samples=sum(state.dropped.values()),
        last_success=rfc3339(state.last_success) if state.last_success else None,
    )


def _output(name: str, url: str, state: DeliveryState) -> types.Output:
    """Return the state of an output."""
    found = _delivery(state)
    assert found is not None  # noqa: S101 -- the state is not None
    return types.Output(name, url, found)


async def status(request: Request) -> Response:
    """Return the state of the hub: problems, targets, store and outputs."""

    def work(own: Services, _: Cancellation) -> types.Status:
        now = own.now()
        states = [target.health for target in own.targets().active]
        problems = [*own.problems(), *own.degradations()]
        settings = own.settings
        try:
            series: int | None = own.storage.count_series(own.store, now)
        except HubError as error:
            series = None
            if not problems:
                problems.append(str(error))
        return types.Status(
            status="degraded" if problems else "ok",
            problems=problems,
            server_id=settings.server_id if settings else "",
            version=__version__,
            timestamp=rfc3339(now),
            started=rfc3339(own.started),
            uptime_seconds=(now - own.started) / 1000,
            targets=types.TargetCounts(states.count("up"), states.count("down"), states.count("unknown")),
            series=series,
            buffer=_delivery(own.storage.buffer()),
            outputs=[_output(name, url, state) for name, url, state in own.storage.outputs()],
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
