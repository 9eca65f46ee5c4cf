"""Update of CRDs when the chart is upgraded: Helm itself installs CRDs and never updates them."""

import sys
from pathlib import Path

import yaml

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import CRD
from metricat_operator.facts.model import Manifest

_HELM = "helm"
"""Helm's field manager: Helm 4 applies the CRDs at install, and fails if another manager owns their fields."""


def read(folder: Path) -> list[Manifest]:
    """Return the manifests in the YAML files of the folder."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def apply(manifests: list[Manifest]) -> int:
    """Apply each CRD server-side; return the exit code, 1 if the API server refused one."""
    client = await Client.connect()
    try:
        for manifest in manifests:
            written = await client.apply(CRD, manifest, force=True, manager=_HELM)
            print(f"{manifest['metadata']['name']}: generation {written['metadata']['generation']}")  # noqa: T201
    except ApiError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        await client.close()
    return 0
