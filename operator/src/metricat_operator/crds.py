"""Update of CRDs when the chart is upgraded: Helm itself installs CRDs and never updates them."""

import asyncio
import sys
from pathlib import Path

import yaml

from metricat_operator.cluster.backoff import jittered
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import CRD
from metricat_operator.facts.model import Manifest

_HELM = "helm"
"""Helm's field manager: Helm 4 applies the CRDs at install, and fails if another manager owns their fields."""

_ATTEMPTS = 6


def read(folder: Path) -> list[Manifest]:
    """Return the manifests in the YAML files of the folder."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def _apply(client: Client, manifest: Manifest) -> Manifest:
    """Apply one CRD; retry temporary failures for about half a minute."""
    failures = 0
    while True:
        try:
            return await client.apply(CRD, manifest, force=True, manager=_HELM)
        except ApiError as error:
            failures += 1
            if not error.temporary or failures >= _ATTEMPTS:
                raise
            await asyncio.sleep(max(error.retry_after, jittered(failures, 1.0, 10.0)))


async def apply(manifests: list[Manifest]) -> int:
    """Apply each CRD server-side; return the exit code, 1 if one could not be applied."""
    client = await Client.connect()
    try:
        for manifest in manifests:
            written = await _apply(client, manifest)
            print(f"{manifest['metadata']['name']}: generation {written['metadata']['generation']}")  # noqa: T201
    except ApiError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await client.close()
    return 0
