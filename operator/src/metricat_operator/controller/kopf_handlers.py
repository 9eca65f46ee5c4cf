"""The handlers that kopf calls: they hand what kopf saw to the operator, and do nothing else.

kopf watches MonitoringTargets only. Handlers of raw events are used because they store nothing in the object (no
finalizer, no annotation): the operator is level-triggered and needs no memory.
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


class _EndlessBackoffs:
    """1, 2, 4 ... 30 seconds for ever, jittered: kopf gives up, and goes deaf, where its backoffs end."""

    def __iter__(self) -> Iterator[float]:
        """A sequence of its own for each request."""
        ceiling = 1.0
        while True:
            yield random.uniform(ceiling / 2, ceiling)  # noqa: S311 (jitter, not a secret)
            ceiling = min(30.0, ceiling * 2)


@dataclass
class OperatorTask:
    """Whether the operator's own work goes on. Its end ends kopf; by itself it never should."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)
    crashed: bool = False

    def watch(self, task: asyncio.Task[None]) -> None:
        """Called when the work ended."""
        if not task.cancelled():
            self.crashed = True
            log.critical("the operator ended by itself", exc_info=task.exception())
        self.ended.set()


def registry(operator: Operator, life: OperatorTask) -> kopf.OperatorRegistry:
    """The handlers of one operator."""
    handlers = kopf.OperatorRegistry()
    running: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=handlers)
    async def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        _configure(settings)
        task = asyncio.create_task(operator.run(), name="operator")
        task.add_done_callback(life.watch)
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
            operator.gone(target)
        else:
            operator.seen(target, _poster())

    return handlers


def _poster() -> Post:
    """Events can be posted only from within a handler's context, so that context is kept for the workers."""
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
    settings.networking.error_backoffs = _EndlessBackoffs()
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
