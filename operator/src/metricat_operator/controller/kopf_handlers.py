"""kopf's handlers: they only pass each event of a MonitoringTarget to the operator.

kopf watches MonitoringTargets only. The handlers receive raw events, because kopf then stores nothing in the object (no
finalizer, no annotation): the operator is level-triggered and needs no stored state.
"""

import contextvars
import itertools
from collections.abc import Iterator
from typing import Any, cast

import aiohttp
import kopf

from metricat_operator import naming
from metricat_operator.cluster.backoff import jittered
from metricat_operator.cluster.bounded_response import session_options
from metricat_operator.cluster.client import PAGE
from metricat_operator.controller.operator import Operator, Post
from metricat_operator.facts.model import Manifest


class _UnlimitedRetryDelays:
    """Jittered backoffs of 1, 2, 4, 6, 6 ... seconds without end: kopf stops watching when its backoffs end."""

    def __iter__(self) -> Iterator[float]:
        """Yield the delays of one request, in seconds."""
        return (jittered(failures, 1.0, 6.0) for failures in itertools.count(1))


class Sessions:
    """The HTTP sessions of one run of kopf: kopf's own sessions have no limit for the size of a response."""

    def __init__(self) -> None:
        self._sessions: dict[kopf.ConnectionInfo, kopf.AiohttpSession] = {}

    async def login(self, **kwargs: Any) -> kopf.AiohttpSession | None:
        """Return the session of the current credentials, if any. Equal credentials have the same session.

        kopf detects by this that the API server has rejected the credentials before.
        """
        found = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        if found is not None and found not in self._sessions:
            self._sessions[found] = kopf.AiohttpSession(
                server=found.server, default_namespace=found.default_namespace, aiohttp_session=_session(found)
            )
        return self._sessions[found] if found else None

    async def close(self) -> None:
        """Close all connections."""
        for one in self._sessions.values():
            await one.aiohttp_session.close()


def _session(found: kopf.ConnectionInfo) -> aiohttp.ClientSession:
    options = session_options()
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        proxy=found.proxy_url,
        trust_env=found.trust_env,
        **{**options, "headers": {**options["headers"], **found.as_http_headers()}},
    )


def registry(operator: Operator, sessions: Sessions) -> kopf.OperatorRegistry:
    """Return the kopf registry with the handlers of one operator."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers, backoff=3.0)(sessions.login)

    @kopf.on.event(naming.GROUP, naming.VERSION, naming.PLURAL, registry=handlers)
    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        target: Manifest = dict(event["object"])
        if event["type"] == "DELETED":
            operator.on_deleted(target)
        else:
            operator.on_changed(target, _event_recorder())

    return handlers


def _event_recorder() -> Post:
    """Return a function that posts events. kopf posts only in the context of a handler, so keep that context."""
    context = contextvars.copy_context()

    def post(target: Manifest, level: str, reason: str, message: str) -> None:
        context.run(kopf.event, kopf.Body(cast("Any", target)), type=level, reason=reason, message=message)

    return post


def settings() -> kopf.OperatorSettings:
    """Return new settings for one run of kopf."""
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None  # otherwise kopf kills the process minutes after its end
    settings.persistence.finalizer = f"{naming.GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=naming.GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=naming.GROUP)
    settings.peering.standalone = True
    settings.posting.loggers = False
    settings.posting.reporting_component = naming.FIELD_MANAGER
    settings.posting.event_name_prefix = "metricat-"
    settings.networking.error_backoffs = _UnlimitedRetryDelays()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = PAGE
    settings.watching.reconnect_backoff = 1.0
    return settings
