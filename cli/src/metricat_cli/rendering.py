"""The managed objects that the operator would build for a MonitoringTarget, and their differences."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from metricat_cli.errors import CommandError

Manifest = dict[str, Any]
IMAGE = "metricat/agent"


class _Dumper(yaml.SafeDumper):
    """YAML without aliases: people find those hard to read."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (pyyaml's signature)
        """Return True: write every value in full."""
        return True


UNKNOWN_LABELS = (
    "no labels are set in {fields}. The operator may add labels there, by which a Prometheus selects the objects. "
    "These labels depend on the Prometheus objects of the cluster"
)


@dataclass(frozen=True)
class ExtraLabels:
    """The labels that the operator adds to ServiceMonitor and PrometheusRules if the spec sets none."""

    monitor: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)


def without_labels(spec: Mapping[str, Any]) -> list[str]:
    """Return the fields of a spec that would set labels, and are not set: the operator chooses these labels."""
    return [
        f"spec.{section}.labels" for section in ("monitor", "alerts") if (spec.get(section) or {}).get("labels") is None
    ]


def children(
    name: str, namespace: str, spec: Mapping[str, Any], image: str, extra: ExtraLabels | None = None
) -> list[Manifest]:
    """Return the managed objects of a target, as an operator builds them with the agent image `image`.

    Raises:
        CommandError: the spec is not valid.
    """
    from metricat_operator.api.parse import parse  # noqa: PLC0415 -- Pydantic takes a second; `--help` needs none
    from metricat_operator.facts.model import DefaultLabels  # noqa: PLC0415 -- as above
    from metricat_operator.manifests import Context, build_children  # noqa: PLC0415 -- as above

    parsed = parse(spec)
    if parsed.spec is None or parsed.errors:
        raise CommandError(f"the spec of {namespace}/{name} is not valid: " + "; ".join(parsed.errors))
    labels = DefaultLabels(extra.monitor, extra.rules) if extra else DefaultLabels()
    found = build_children(Context(name, namespace, "", parsed.spec, agent_image=image, default_labels=labels))
    for manifest in found:
        del manifest["metadata"]["ownerReferences"]  # the UID is known only in the cluster
    return found


def to_yaml(manifests: Iterable[Manifest]) -> str:
    """Return the manifests as YAML documents."""
    return "---\n".join(yaml.dump(one, Dumper=_Dumper, sort_keys=False, width=120) for one in manifests)


def differences(before: Iterable[Manifest], after: Iterable[Manifest]) -> str:
    """Return a unified diff for each object that differs; empty if none does."""
    old, new = ({_key(one): to_yaml([one]).splitlines() for one in side} for side in (before, after))
    lines: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        lines += difflib.unified_diff(old.get(key, []), new.get(key, []), f"live {key}", f"file {key}", lineterm="")
    return "\n".join(lines)


def _key(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['namespace']}/{manifest['metadata']['name']}"
