"""Generate the golden manifests: the managed objects of a target, for each feature of the spec."""

from pathlib import Path
from typing import Any

import yaml

from metricat_operator.api.parse import parse
from metricat_operator.manifests import Context, build_children

UID = "11111111-2222-3333-4444-555555555555"
IMAGE = "metricat/agent:golden"


def manifests(target: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the managed objects of a target, as a newly installed operator builds them.

    Raises:
        ValueError: the target is not valid; the message has the reason.
    """
    parsed = parse(target["spec"])
    if parsed.spec is None or parsed.errors:
        raise ValueError("; ".join(parsed.errors))
    metadata = target["metadata"]
    return build_children(Context(metadata["name"], metadata["namespace"], UID, parsed.spec, agent_image=IMAGE))


def cases(root: Path) -> list[Path]:
    """Return the folders with a `target.yaml`."""
    return sorted(path.parent for path in root.glob("*/target.yaml"))


def text(case: Path) -> str:
    """Return the content of the case's `manifests.yaml`."""
    found = manifests(yaml.safe_load((case / "target.yaml").read_text()))
    return "---\n".join(yaml.safe_dump(manifest, sort_keys=False, width=120) for manifest in found)
