"""Run kopf, and start it again within this process when it ends or stalls.

kopf ends when a task of it raises, and many responses of an API server or of a proxy make it raise: see
docs/design/0021-api-faults.md. Only kopf's watch is lost then. All other work has its own requests, and continues.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kopf
import structlog

from metricat_operator.cluster.backoff import jittered
from metricat_operator.cluster.outage import Outage
from metricat_operator.controller import kopf_handlers
from metricat_operator.controller.operator import Operator

log = structlog.get_logger(__name__)

_KOPF = Path(kopf.__file__).parent
_FIRST_RETRY = 0.5
_LAST_RETRY = 6.0
_CHECK_SECONDS = 1.0
_SETTLED_SECONDS = 10.0
"""Time after which a start of kopf counts as successful."""
_STALL_SECONDS = 8.0
"""Longest delay of kopf's watch behind our own, in seconds; usually it is below one. kopf stops receiving events, for
example, when its CRD was recreated and is served later than its last event says."""
_STOP_SECONDS = 4.0
"""Time after which kopf's tasks are cancelled again. Some end only at the second cancellation."""
_MAX_STALL_SECONDS = 120.0
"""The delay doubles to this limit with each start in a row: kopf may need longer on a slow API server."""


@dataclass
class KopfSupervisor:
    """Runs kopf's watch of MonitoringTargets, and starts kopf again when it ends or stalls.

    `own_signals` is called after each start of kopf, which replaces the signal handlers by its own.
    """

    operator: Operator
    namespaces: Collection[str]
    own_signals: Callable[[], None]
    _outage: Outage = field(default_factory=lambda: Outage("watch MonitoringTargets with kopf"))
    _stalls: int = 0

    def trouble(self, seconds: float) -> str:
        """Return the error if kopf has not worked for at least `seconds`, otherwise an empty text."""
        return self._outage.lasting(seconds)

    async def run(self) -> None:
        """Run kopf until cancelled."""
        while True:
            # In a task of its own, because kopf sets context variables, and the next start must not inherit them.
            error = await asyncio.create_task(self._run_once(), name="kopf")
            self._outage.failed(error)
            await asyncio.sleep(jittered(self._outage.failures, _FIRST_RETRY, _LAST_RETRY))

    async def _run_once(self) -> str:
        """Run kopf until it ends or stalls, and return why."""
        tasks: set[asyncio.Task[Any]] = set()
        sessions = kopf_handlers.Sessions()
        try:
            tasks.update(
                await kopf.spawn_tasks(
                    registry=kopf_handlers.registry(self.operator, sessions),
                    settings=kopf_handlers.settings(),
                    clusterwide=not self.namespaces,
                    namespaces=self.namespaces,
                )
            )
            self.own_signals()
            return await self._until_ended(tasks)
        except Exception as error:  # noqa: BLE001 (kopf's errors are not enumerable; the caller logs it and starts kopf again)
            return _text(error)
        finally:
            await _stop(tasks)
            await sessions.close()

    async def _until_ended(self, tasks: set[asyncio.Task[Any]]) -> str:
        began = time.monotonic()
        while True:
            ended, _ = await asyncio.wait(tasks, timeout=_CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if ended:
                return "; ".join(filter(None, map(_failure, ended))) or "kopf ended without an error"
            lasted = time.monotonic() - began
            patience = min(_MAX_STALL_SECONDS, _STALL_SECONDS * 2.0**self._stalls)
            if lasted > patience and (missed := self.operator.kopf_stalled(patience)):
                self._stalls += 1
                return f"kopf has not reported the newest state of {', '.join(missed)}"
            if lasted > _SETTLED_SECONDS:
                self._outage.ended()
                if not self.operator.missed_by_kopf(_STALL_SECONDS):
                    self._stalls = 0


def _failure(task: asyncio.Task[Any]) -> str:
    error = None if task.cancelled() else task.exception()
    return _text(error) if error else ""


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _is_of_kopf(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and Path(code.co_filename).is_relative_to(_KOPF)


async def _stop(tasks: set[asyncio.Task[Any]]) -> None:
    """End the root tasks of kopf, which end most other tasks; then end the tasks that kopf no longer tracks."""
    await _cancel(tasks)
    await _cancel({task for task in asyncio.all_tasks() if _is_of_kopf(task)})


async def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and wait for their end, but not without limit: kopf shields some tasks."""
    for _ in range(2):
        if pending := {task for task in tasks if not task.done()}:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=_STOP_SECONDS)
    if hung := [task.get_name() for task in tasks if not task.done()]:
        log.warning("tasks of kopf do not end; leaving them", tasks=hung)
    for task in tasks:
        if task.done():
            _failure(task)  # marks the exception as retrieved
