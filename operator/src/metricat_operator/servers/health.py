"""`/healthz` and `/readyz` for the kubelet: they check that the watches receive events."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from metricat_operator.controller.operator import Operator

WATCH_STALE_SECONDS = 180.0
"""Maximum time of a watch without events, in seconds. The API server sends a bookmark every minute, so a watch that
receives nothing for longer hangs."""

KOPF_DELAY_SECONDS = 60.0
"""Longest delay of kopf's watch behind our own, in seconds; usually it is below one. kopf stops receiving events, for
example, when its CRD was recreated and is served later than its last event says. Only a restart helps."""


@asynccontextmanager
async def serving(
    operator: Operator,
    port: int,
    *,
    watch_stale: float = WATCH_STALE_SECONDS,
    kopf_delay: float = KOPF_DELAY_SECONDS,
) -> AsyncIterator[None]:
    """Serve probes on all addresses while the context is open."""
    cluster = operator.cluster

    async def healthz(_: web.Request) -> web.Response:
        now = time.monotonic()
        stale = [cache.kind.name for cache in cluster.caches if now - cache.last_activity > watch_stale]
        missed = operator.missed_by_kopf(kopf_delay)
        return _response(
            "; ".join(
                f"{what}: {', '.join(names)}"
                for what, names in (("watches hang", stale), ("kopf does not report", missed))
                if names
            )
        )

    async def readyz(_: web.Request) -> web.Response:
        waiting = [cache.kind.name for cache in cluster.caches if not cache.synced.is_set()]
        return _response("not yet listed: " + ", ".join(waiting) if waiting else "")

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port).start()
        yield
    finally:
        await runner.cleanup()


def _response(trouble: str) -> web.Response:
    return web.Response(status=503 if trouble else 200, text=(trouble or "ok") + "\n")
