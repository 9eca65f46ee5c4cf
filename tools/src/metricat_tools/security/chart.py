"""`make scan-chart`: check the rendered chart, and the objects that the operator creates, with checkov's rules."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from metricat_tools.errors import ToolError
from metricat_tools.security.programs import CHART, ROOT, run

RENDERS = ("tests/golden_chart", "tests/golden")
"""The chart with each file of charts/metricat/ci, and the objects of each kind of MonitoringTarget."""
_TAG = "The version is the tag, and image.*.digest replaces it. Releases are signed."
_PULL = "A tag of a release does not change, and nodes without a registry must start the image."
_CPU = "A CPU limit delays scrapes and reconciles when the node has idle CPUs. The agent limits itself."
_CLIENT = "The operator, the hub and the hooks are clients of the API server. The agent has no token."
_USER = "Values of these renders: OpenShift assigns the user, and full.yaml sets another one."
_POLICY = "NetworkPolicies depend on the peers: the values networkPolicy of agents, operator and hub create them."
_HOOK = "Pods of hooks and of `helm test` end within seconds."
ACCEPTED: dict[tuple[str, str], str] = {
    **dict.fromkeys([("CKV_K8S_43", kind) for kind in ("Deployment", "Job", "Pod", "DaemonSet")], _TAG),
    **dict.fromkeys([("CKV_K8S_15", kind) for kind in ("Deployment", "Job", "Pod", "DaemonSet")], _PULL),
    **dict.fromkeys([("CKV_K8S_11", kind) for kind in ("Deployment", "Job", "Pod", "DaemonSet")], _CPU),
    **dict.fromkeys([("CKV_K8S_38", kind) for kind in ("Deployment", "Job", "Pod")], _CLIENT),
    **dict.fromkeys([("CKV_K8S_40", kind) for kind in ("Deployment", "Job", "Pod")], _USER),
    ("CKV2_K8S_6", "Pod"): _POLICY,
    ("CKV_K8S_8", "Pod"): _HOOK,
    ("CKV_K8S_9", "Pod"): _HOOK,
    ("CKV_K8S_21", "ConfigMap"): "Objects of extraObjects in full.yaml, which name no namespace.",
}
"""Findings by rule and kind of object, with the reason why they stay."""


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that an object of a file does not meet."""

    rule: str
    kind: str
    text: str


def scan_chart() -> None:
    """Check all renders.

    Raises:
        ToolError: a finding is not in `ACCEPTED`, or an entry of `ACCEPTED` has no finding.
    """
    passed, found = 0, []
    for folder in RENDERS:
        output = run(
            *("checkov", "--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--output", "json"),
            *("--directory", ROOT / folder),
            statuses=(0, 1),
            environment=CHART,
        )
        own, findings = read(json.loads(output))
        passed += own
        found += findings
    if problems := judged(found, ACCEPTED):
        raise ToolError("\n".join(["the scan of the chart found:", *problems]))
    print(f"{passed} checks passed; {len(found)} findings of {len(ACCEPTED)} kinds are accepted")


def read(report: Mapping[str, Any]) -> tuple[int, list[Finding]]:
    """Return the number of passed checks, and the findings.

    Raises:
        ToolError: checkov could not read a file, or found no object.
    """
    summary = report.get("summary", report)
    if not summary.get("passed") or summary.get("parsing_errors"):
        raise ToolError(f"checkov could not read the renders: {summary}")
    found = []
    for one in report["results"]["failed_checks"]:
        kind, _, name = one["resource"].partition(".")
        text = f"{one['file_path']}: {kind} {name}: {one['check_id']} {one['check_name']}"
        found.append(Finding(one["check_id"], kind, text))
    return int(summary["passed"]), found


def judged(found: Iterable[Finding], accepted: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the problems as text: findings that are not accepted, and accepted kinds without a finding."""
    found = sorted(found)
    kinds = {(one.rule, one.kind) for one in found}
    return [
        *(one.text for one in found if (one.rule, one.kind) not in accepted),
        *(
            f"{rule} of {kind} is accepted, but has no finding; remove it"
            for rule, kind in sorted(set(accepted) - kinds)
        ),
    ]
