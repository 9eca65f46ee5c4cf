"""The liveness probe reports hanging watches; the readiness probe reports what the operator cannot read or write."""

import asyncio
from typing import Any

import aiohttp
from kubernetes.aio.client import Configuration

from metricat_operator.cluster.client import Client
from metricat_operator.cluster.lease import Lease
from metricat_operator.controller.kopf_supervisor import KopfSupervisor
from metricat_operator.controller.operator import Operator
from metricat_operator.metrics.own import OperatorMetrics
from metricat_operator.servers import health
from metricat_operator.settings import Settings
from support.harness import free_port

TARGET: dict[str, Any] = {
    "apiVersion": "metricat.dev/v1alpha1",
    "kind": "MonitoringTarget",
    "metadata": {"name": "nodes", "namespace": "monitoring", "uid": "u", "resourceVersion": "7"},
    "spec": {},
}


async def _probed(
    path: str,
    watched: list[dict[str, Any]],
    reported: list[dict[str, Any]],
    limits: dict[str, float],
    *,
    synced: bool,
) -> tuple[int, str]:
    """The probe of an operator whose watch received the `watched` targets, and to which kopf reported the others."""
    client = Client(Configuration())
    operator = Operator(Settings("image"), client, Lease("a", "b", "c"), OperatorMetrics())
    port = free_port()
    try:
        kopf = KopfSupervisor(operator, (), lambda: None)
        async with health.serving(operator, kopf, port, **limits), aiohttp.ClientSession() as session:
            for cache in operator.cluster.caches if synced else ():
                cache.synced.set()
            for target in watched:
                operator.cluster.targets.put(target)
            for target in reported:
                operator.on_changed(target, lambda *_: None)
            await asyncio.sleep(0.1)
            async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
                return response.status, await response.text()
    finally:
        await client.close()


def probed(
    path: str,
    watched: list[dict[str, Any]] | None = None,
    reported: list[dict[str, Any]] | None = None,
    *,
    synced: bool = False,
    **limits: float,
) -> Any:
    return asyncio.run(_probed(path, watched or [], reported or [], limits, synced=synced))


def test_stale_watch_fails_the_liveness_probe() -> None:
    assert probed("healthz") == (200, "ok\n")
    status, text = probed("healthz", watch_stale=0.05)
    assert status == 503
    assert text.startswith("watches hang: Node, Pod, ")


def test_stalled_kopf_watch_fails_the_readiness_probe_only() -> None:
    older = {**TARGET, "metadata": {**TARGET["metadata"], "resourceVersion": "6"}}
    assert probed("readyz", watched=[TARGET], synced=True) == (200, "ok\n")  # within the limit
    stalled = (503, "kopf has not reported the newest state of: monitoring/nodes\n")
    assert probed("readyz", watched=[TARGET], synced=True, trouble=0.05) == stalled
    assert probed("readyz", watched=[TARGET], reported=[older], synced=True, trouble=0.05) == stalled
    assert probed("readyz", watched=[TARGET], reported=[TARGET], synced=True, trouble=0.05) == (200, "ok\n")
    assert probed("healthz", watched=[TARGET]) == (200, "ok\n")


def test_readiness_needs_every_kind_listed_once() -> None:
    status, text = probed("readyz")
    assert status == 503
    assert text.startswith("kinds not yet listed: Node, Pod, ")
