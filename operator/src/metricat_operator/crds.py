"""Brings CRDs up to date when the chart is upgraded: Helm itself only ever installs them."""

import sys
from pathlib import Path

import yaml

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import CRD
from metricat_operator.facts.model import Manifest

_HELM = "helm"
"""Helm's own field manager: Helm 4 applies the CRDs at an install, and refuses to where they are another manager's."""


def read(folder: Path) -> list[Manifest]:
    """The manifests in the folder's YAML files."""
    return [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]


async def apply(manifests: list[Manifest]) -> int:
    """Server-side apply of each CRD; 1 where one was refused."""
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
