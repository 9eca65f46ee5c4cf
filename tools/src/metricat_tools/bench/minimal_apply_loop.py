"""Baseline: the same server-side applies with the same client, in a minimal loop."""

import asyncio
import time
from pathlib import Path
from typing import Any

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from metricat_operator.api.parse import parse
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.kinds import BY_NAME
from metricat_operator.manifests import Context, build_children
from metricat_tools.bench.operator_cluster import LABEL, NAMESPACE, BenchCluster

Manifest = dict[str, Any]

_OURS = "app.kubernetes.io%2Fmanaged-by%3Dmetricat-operator"


def spec(team: int) -> Manifest:
    """Return the spec of a small target."""
    return {"nodeSelector": {"matchLabels": {LABEL: f"t{team}"}}}


def children(team: int) -> list[Manifest]:
    """Return a small target's children without owner reference, because the garbage collector deletes orphans."""
    accepted = parse(spec(team)).spec
    assert accepted is not None
    built = build_children(Context(f"t{team}", NAMESPACE, "-", accepted, "metricat/agent:bench"))
    for child in built:
        del child["metadata"]["ownerReferences"]
    return built


def seconds(cluster: BenchCluster) -> float:
    """Run the loop once, delete its objects, and return the duration of the loop in seconds."""
    manifests = [child for team in range(cluster.targets) for child in children(team)]
    kubeconfig = cluster.plane.service_account_kubeconfig("monitoring", "metricat")
    took = asyncio.run(_loop(kubeconfig, manifests))
    for kind in {BY_NAME[manifest["kind"]] for manifest in manifests}:
        cluster.plane.api.call("DELETE", f"{kind.path(NAMESPACE)}?labelSelector={_OURS}")
    return took


async def _loop(kubeconfig: Path, manifests: list[Manifest]) -> float:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    client = Client(configuration)
    try:
        began = time.monotonic()
        for manifest in manifests:
            await client.apply(BY_NAME[manifest["kind"]], manifest, force=True)
        took = time.monotonic() - began
    finally:
        await client.close()
    return took
