"""`/healthz` and `/readyz` for the kubelet: whether the watches receive events, and whether requests succeed."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from metricat_operator.controller.kopf_supervisor import KopfSupervisor
from metricat_operator.controller.operator import Operator

WATCH_STALE_SECONDS = 180.0
"""Maximum time of a watch without events, in seconds. The API server sends a bookmark every minute, so a watch that
receives nothing for longer hangs."""

TROUBLE_SECONDS = 10.0
"""Shortest time without success after which the operator is not ready, in seconds. Most outages are shorter."""


@asynccontextmanager
async def serving(
    operator: Operator,
    kopf: KopfSupervisor,
    port: int,
    *,
    watch_stale: float = WATCH_STALE_SECONDS,
    trouble: float = TROUBLE_SECONDS,
) -> AsyncIterator[None]:
    """Serve probes on all addresses while the context is open.

    A failed liveness probe restarts the process, which cannot help while the API server fails. Only the readiness probe
    reports that.
    """
    cluster = operator.cluster

    async def healthz(_: web.Request) -> web.Response:
        now = time.monotonic()
        stale = [cache.kind.name for cache in cluster.caches if now - cache.last_activity > watch_stale]
        return _response([f"watches hang: {', '.join(stale)}"] if stale else [])

    async def readyz(_: web.Request) -> web.Response:
        waiting = [cache.kind.name for cache in cluster.caches if not cache.synced.is_set()]
        missed = operator.missed_by_kopf(trouble)
        return _response(
            [
                *([f"kinds not yet listed: {', '.join(waiting)}"] if waiting else []),
                *operator.troubles(trouble),
                *filter(None, [kopf.trouble(trouble)]),
                *([f"kopf has not reported the newest state of: {', '.join(missed)}"] if missed else []),
            ]
        )

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


def _response(troubles: list[str]) -> web.Response:
    return web.Response(status=503 if troubles else 200, text="\n".join(troubles or ["ok"]) + "\n")
