"""Update of CRDs at each install and upgrade of the chart, and their deletion. Helm itself only installs CRDs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from metricat_operator import naming
from metricat_operator.cluster.backoff import jittered
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import CRD, LEADER_FENCE, LEASE
from metricat_operator.cluster.other_operators import EXPIRY_SECONDS
from metricat_operator.facts.model import Manifest

_HELM = "helm"
"""Helm's field manager: Helm 4 applies the CRDs at install, and fails if another manager owns their fields."""

_ATTEMPTS = 6


def read(folder: Path) -> list[Manifest]:
    """Return the manifests in the YAML files of the folder."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def apply(manifests: list[Manifest]) -> int:
    """Apply each CRD server-side; return the exit code, 1 if one could not be applied."""

    async def work(client: Client) -> None:
        for manifest in manifests:
            written = await client.apply(CRD, manifest, force=True, manager=_HELM)
            _print(f"{manifest['metadata']['name']}: generation {written['metadata']['generation']}")

    return await _with_retries(work)


async def delete(operator: str) -> int:
    """Delete the CRDs, unless an operator other than `operator` (NAMESPACE/NAME) runs; return the exit code."""

    async def work(client: Client) -> None:
        if other := await _running(client, operator):
            _print(f"the operator {other} runs: keeping the CRDs. Uninstall its release, then delete them with kubectl")
            return
        for plural in (naming.PLURAL, naming.LEADER_FENCE_PLURAL):
            await _delete(client, f"{plural}.{naming.GROUP}")

    return await _with_retries(work)


async def _delete(client: Client, name: str) -> None:
    try:
        found = await client.get(CRD, "", name)
    except ApiError as error:
        if error.status != 404:
            raise
        return
    await client.delete(CRD, "", name, uid=found["metadata"]["uid"])
    _print(f"{name}: deleted")


async def _running(client: Client, me: str) -> str:
    """Return another operator with a LeaderFence whose Lease was renewed recently; empty if none is."""
    try:
        async for fences, _ in client.pages(LEADER_FENCE):
            for metadata in (fence["metadata"] for fence in fences):
                identity = f"{metadata['namespace']}/{metadata['name']}"
                if identity != me and await _renewed(client, metadata["namespace"], metadata["name"]):
                    return identity
    except ApiError as error:
        if error.status != 404:  # the CRD is gone, and all operators with it
            raise
    return ""


async def _renewed(client: Client, namespace: str, name: str) -> bool:
    try:
        spec = (await client.get(LEASE, namespace, name)).get("spec") or {}
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    renewed = datetime.fromisoformat(spec.get("renewTime") or datetime.min.replace(tzinfo=UTC).isoformat())
    return bool(spec.get("holderIdentity")) and (datetime.now(UTC) - renewed).total_seconds() < EXPIRY_SECONDS


async def _with_retries(work: Callable[[Client], Awaitable[None]]) -> int:
    """Do the work, and do it again after temporary failures for about half a minute; return the exit code."""
    client = await Client.connect()
    failures = 0
    try:
        while True:
            try:
                await work(client)
            except ApiError as error:
                failures += 1
                if not error.temporary or failures >= _ATTEMPTS:
                    print(f"error: {error}", file=sys.stderr)  # noqa: T201
                    return 1
                await asyncio.sleep(max(error.retry_after, jittered(failures, 1.0, 10.0)))
            else:
                return 0
    finally:
        await client.close()


def _print(text: str) -> None:
    print(text)  # noqa: T201 (output of a command)
