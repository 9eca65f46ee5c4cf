"""kopf's handlers: they only pass each event of a MonitoringTarget to the operator.

kopf watches MonitoringTargets only. The handlers receive raw events, because kopf then stores nothing in the object (no
finalizer, no annotation): the operator is level-triggered and needs no stored state.
"""

import asyncio
import contextvars
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import kopf
import structlog

from metricat_operator import naming
from metricat_operator.controller.operator import Operator, Post
from metricat_operator.facts.model import Manifest

log = structlog.get_logger(__name__)


class _UnlimitedRetryDelays:
    """Jittered backoffs of 1, 2, 4 ... 30 seconds without end: kopf stops watching when its backoffs end."""

    def __iter__(self) -> Iterator[float]:
        """Yield the delays of one request, in seconds."""
        ceiling = 1.0
        while True:
            yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 (jitter, not a secret)
            ceiling = min(30.0, ceiling * 2)


@dataclass
class OperatorTask:
    """State of the operator's main task. kopf stops when the task ends; only a cancellation should end it."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    crashed: bool = False

    def on_done(self, task: asyncio.Task[None]) -> None:
        """Record that the main task ended."""
        if not task.cancelled():
            self.crashed = True
            log.critical("operator task exited unexpectedly", exc_info=task.exception())
        self.ended.set()


def registry(operator: Operator, operator_task: OperatorTask) -> kopf.OperatorRegistry:
    """Return the kopf registry with the handlers of one operator."""
    handlers = kopf.OperatorRegistry()
    running: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)
        task = asyncio.create_task(operator.run(), name="operator")
        task.add_done_callback(operator_task.on_done)
        running.append(task)

    @kopf.on.cleanup(registry=handlers)
    async def stop(**_: Any) -> None:
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

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


def _configure(settings: kopf.OperatorSettings) -> None:
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
    settings.watching.chunk_size = 500
