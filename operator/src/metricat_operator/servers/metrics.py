"""`/metrics` of the operator over TLS, for clients whose RBAC allows `get` on that path.

The certificate is self-signed: a scraper cannot verify the server, but its token is encrypted on the network.
Leader and standby replicas serve the same families.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CollectorRegistry, exposition

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.metrics_auth import ALLOWED, FORBIDDEN, UNAUTHENTICATED, MetricsAuthorizer
from metricat_operator.naming import FIELD_MANAGER
from metricat_operator.servers.tls import self_signed

log = structlog.get_logger(__name__)

PATH = "/metrics"


@asynccontextmanager
async def serving(registry: CollectorRegistry, client: Client, port: int, reader: str) -> AsyncIterator[None]:
    """Serve authorized scrapes on all addresses while the context is open; the ClusterRole `reader` allows them."""
    access = MetricsAuthorizer(client, PATH)
    why_not = {
        UNAUTHENTICATED: "Authentication required. Send a bearer token of this cluster, such as a ServiceAccount's.\n",
        FORBIDDEN: (
            f"This user may not get {PATH}. Bind the chart's ClusterRole that allows it: kubectl create "
            f"clusterrolebinding NAME --clusterrole={reader} --serviceaccount=NAMESPACE:NAME\n"
        ),
    }

    async def metrics(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            status = (
                await access.authorize(token.strip())
                if scheme.lower() == "bearer" and token.strip()
                else UNAUTHENTICATED
            )
        except ApiError as error:
            log.warning("cannot authenticate a scrape", status=error.status, error=str(error))
            return web.Response(status=503, text="The API server could not review the token. Try again later.\n")
        if status != ALLOWED:
            headers = {"WWW-Authenticate": "Bearer"} if status == UNAUTHENTICATED else {}
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
