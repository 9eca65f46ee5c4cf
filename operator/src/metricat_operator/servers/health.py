"""`/healthz` and `/readyz` for the kubelet: they prove that the watches are alive, not only that a port answers."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from metricat_operator.controller.operator import Operator

SILENCE_SECONDS = 180.0
"""A watch hears a bookmark every minute, or notices that it does not; a longer silence means that it hangs."""

UNHEARD_SECONDS = 60.0
"""kopf tells of a target within a second of our own watch. It goes deaf, for example, where its CRD was made anew and
is served a moment later than its last event says; only a restart helps."""


@asynccontextmanager
async def serving(operator: Operator, port: int) -> AsyncIterator[None]:
    """Answer probes on all addresses for as long as the context lasts."""
    cluster = operator.cluster

    async def healthz(_: web.Request) -> web.Response:
        now = time.monotonic()
        silent = [cache.kind.name for cache in cluster.caches if now - cache.last_heard > SILENCE_SECONDS]
        unheard = operator.unheard(UNHEARD_SECONDS)
        return _answer(
            "; ".join(
                f"{what}: {', '.join(names)}"
                for what, names in (("watches hang", silent), ("kopf does not tell of", unheard))
                if names
            )
        )

    async def readyz(_: web.Request) -> web.Response:
        waiting = [cache.kind.name for cache in cluster.caches if not cache.synced.is_set()]
        return _answer("not yet listed: " + ", ".join(waiting) if waiting else "")

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


def _answer(trouble: str) -> web.Response:
    return web.Response(status=503 if trouble else 200, text=(trouble or "ok") + "\n")
