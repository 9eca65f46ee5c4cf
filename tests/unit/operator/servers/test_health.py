"""The probes: a watch that hangs, and a kopf that went deaf, are told to kubelet."""

import asyncio
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import Configuration

from metricat_operator.cluster.client import Client
from metricat_operator.cluster.lease import Lease
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


async def _probed(path: str, heard: list[dict[str, Any]], told: list[dict[str, Any]]) -> tuple[int, str]:
    """The answer of an operator whose own watch has heard of these targets, and to which kopf has told of those."""
    client = Client(Configuration())
    operator = Operator(Settings("image"), client, Lease("a", "b", "c"), OperatorMetrics())
    port = free_port()
    try:
        async with health.serving(operator, port), aiohttp.ClientSession() as session:
            for target in heard:
                operator.cluster.targets.put(target)
            for target in told:
                operator.seen(target, lambda *_: None)
            await asyncio.sleep(0.1)
            async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                return answer.status, await answer.text()
    finally:
        await client.close()


def probed(path: str, heard: list[dict[str, Any]] | None = None, told: list[dict[str, Any]] | None = None) -> Any:
    return asyncio.run(_probed(path, heard or [], told or []))


def test_a_watch_that_hears_nothing_for_too_long_fails_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probed("healthz") == (200, "ok\n")
    monkeypatch.setattr(health, "SILENCE_SECONDS", 0.05)
    status, text = probed("healthz")
    assert status == 503
    assert text.startswith("watches hang: Node, Pod, ")


def test_a_kopf_that_went_deaf_fails_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    older = {**TARGET, "metadata": {**TARGET["metadata"], "resourceVersion": "6"}}
    assert probed("healthz", heard=[TARGET]) == (200, "ok\n")  # it has a minute
    monkeypatch.setattr(health, "UNHEARD_SECONDS", 0.05)
    deaf = (503, "kopf does not tell of: monitoring/nodes\n")
    assert probed("healthz", heard=[TARGET]) == deaf
    assert probed("healthz", heard=[TARGET], told=[older]) == deaf
    assert probed("healthz", heard=[TARGET], told=[TARGET]) == (200, "ok\n")


def test_nobody_is_ready_before_everything_was_listed_once() -> None:
    status, text = probed("readyz")
    assert status == 503
    assert text.startswith("not yet listed: Node, Pod, ")
