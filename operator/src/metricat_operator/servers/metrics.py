"""`/metrics` of the operator: over TLS, for whoever may `get` that path by the cluster's own RBAC.

The certificate is self-signed, so a scraper cannot tell us from an impostor in between; but its token does not cross
the network in the clear. Leader and standby answer alike.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, exposition

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.metrics_auth import ALLOWED, FORBIDDEN, UNKNOWN, MetricsAuthorizer
from metricat_operator.naming import FIELD_MANAGER
from metricat_operator.servers.tls import self_signed

log = structlog.get_logger(__name__)

PATH = "/metrics"


@asynccontextmanager
async def serving(registry: CollectorRegistry, client: Client, port: int, reader: str) -> AsyncIterator[None]:
    """Answer scrapes on all addresses, of those who may, while the context lasts; `reader` is the role for it."""
    access = MetricsAuthorizer(client, PATH)
    why_not = {
        UNKNOWN: "send a bearer token that the API server knows, such as that of a ServiceAccount\n",
        FORBIDDEN: (
            f"this user may not get {PATH}; bind the ClusterRole of the chart that allows it: kubectl create "
            f"clusterrolebinding NAME --clusterrole={reader} --serviceaccount=NAMESPACE:NAME\n"
        ),
    }

    async def metrics(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            status = await access.authorize(token.strip()) if scheme.lower() == "bearer" and token.strip() else UNKNOWN
        except ApiError as error:
            log.warning("cannot tell who asks for metrics", status=error.status, error=str(error))
            return web.Response(status=503, text="the API server does not say who you are; try again later\n")
        if status != ALLOWED:
            headers = {"WWW-Authenticate": "Bearer"} if status == UNKNOWN else {}
            return web.Response(status=status, text=why_not[status], headers=headers)
        encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get(PATH, metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, port, ssl_context=await self_signed(FIELD_MANAGER)).start()
        yield
    finally:
        await runner.cleanup()
