"""The conditions of a target: each one question, answered in words."""

from collections import Counter
from collections.abc import Sequence

from metricat_operator import naming, verification
from metricat_operator.api.parse import Parsed
from metricat_operator.child_kinds import wanted_kinds
from metricat_operator.facts.model import ChildError, Facts, Manifest, Node
from metricat_operator.status.coverage import Uncovered
from metricat_operator.status.members import daemon_sets, updated
from metricat_operator.verification import selection
from metricat_operator.verification.selection import Finding

MAX_MESSAGE = 4096

_INSTALL_OPERATOR = (
    "the cluster does not serve {kinds}; install the Prometheus Operator, for example: helm install kps "
    "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack -n monitoring"
)


def condition(kind: str, *, status: bool | None, reason: str, message: str) -> Manifest:
    """One condition, still without its times."""
    text = {True: "True", False: "False", None: "Unknown"}[status]
    return {"type": kind, "status": text, "reason": reason, "message": _cut(message)}


def _cut(message: str) -> str:
    """No more than a person reads; the API server takes 32,768 characters."""
    return message if len(message) <= MAX_MESSAGE else f"{message[: MAX_MESSAGE - 4]} ..."


def accepted(parsed: Parsed, lost: Counter[str], *, running: bool) -> Manifest:
    """Whether the spec makes sense; `lost` counts the nodes that it selects and older targets own.

    `running` is whether an earlier spec has become anything.
    """
    if parsed.errors:
        rest = "what runs already stays as it was" if running else "until then nothing runs"
        message = "; ".join([*parsed.errors, rest])
        return condition(
            "Accepted", status=False, reason="Overlaps" if parsed.too_many_terms else "Invalid", message=message
        )
    told = list(parsed.warnings)
    if lost:
        told.append(f"older targets own nodes that this one selects too, and keep them: {_shares(lost)}; {_APART}")
    reason = "AcceptedWithWarnings" if parsed.warnings else "Overlaps" if lost else "Accepted"
    return condition("Accepted", status=True, reason=reason, message="; ".join(told) or "the spec makes sense")


_APART = (
    "leave them out by spec.nodeSelector of the one or the other, or give them settings of their own as a pool of the "
    "older target"
)


def _shares(lost: Counter[str]) -> str:
    """Which target has how many, those with most first."""
    most = [f"{name} ({count} node{'s' if count > 1 else ''})" for name, count in lost.most_common(3)]
    return ", ".join(most) + (f" and {len(lost) - 3} more targets" if len(lost) > 3 else "")


def applied(parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError]) -> Manifest:
    """Whether every child is as it should be."""
    if parsed.errors:
        return condition("Applied", status=None, reason="NotAccepted", message="nothing is written until Accepted")
    if parsed.spec and parsed.spec.paused:
        return condition("Applied", status=None, reason="Paused", message="spec.paused is true: nothing is written")
    other = [trouble for trouble in child_errors if trouble.reason != "NotServed"]
    if other:
        told = "; ".join(f"{trouble.kind} {trouble.name}: {trouble.message}" for trouble in other)
        return condition("Applied", status=False, reason=other[0].reason, message=told)
    unserved = sorted({trouble.kind for trouble in child_errors} | (facts.unserved & _wanted_kinds(parsed)))
    if unserved:
        message = _INSTALL_OPERATOR.format(kinds=_and(unserved))
        return condition("Applied", status=False, reason="NotServed", message=message)
    return condition("Applied", status=True, reason="Applied", message="every child is as it should be")


def _wanted_kinds(parsed: Parsed) -> set[str]:
    """Return the child kinds that the spec needs."""
    return {kind.name for kind in wanted_kinds(parsed.spec)}


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


_RUNS_ALL_THE_SAME = "ChangedOnWrite"
"""A policy may want another registry, or one more label: the agents are there, if not quite as they were meant."""


def agents_ready(
    wanted: Sequence[Node],
    uncovered: Sequence[Uncovered],
    lost: Counter[str],
    facts: Facts,
    child_errors: Sequence[ChildError],
) -> Manifest:
    """Whether every node that should have a ready agent has the newest."""
    counts = f"{len(wanted) - len(uncovered)}/{len(wanted)} nodes"
    if refused := [one for one in child_errors if one.kind == "DaemonSet" and one.reason != _RUNS_ALL_THE_SAME]:
        return condition("AgentsReady", status=False, reason=refused[0].reason, message=refused[0].message)
    if not daemon_sets(facts):
        return condition("AgentsReady", status=False, reason="NoDaemonSet", message="the agents are not deployed")
    if not wanted:
        return _no_nodes(lost)
    if uncovered:
        told = ", ".join(f"{node.node}: {node.reason}" for node in uncovered[:3])
        more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
        return condition("AgentsReady", status=False, reason="NodesUncovered", message=f"{counts}; {told}{more}")
    if updated(facts) < len(wanted):
        message = f"{counts}; the newest agent is on {updated(facts)} of them"
        return condition("AgentsReady", status=False, reason="RolloutInProgress", message=message)
    return condition("AgentsReady", status=True, reason="AgentsReady", message=counts)


def _no_nodes(lost: Counter[str]) -> Manifest:
    """Nothing is to be waited for; but a target that can do nothing has its reason in the table of all targets."""
    reason, message = "NoNodes", "no Linux node is meant: the cluster has none yet, or spec.nodeSelector selects none"
    if lost:
        reason, message = "Overlaps", f"every node that it selects is an older target's: {_shares(lost)}; {_APART}"
    return condition("AgentsReady", status=True, reason=reason, message=message)


def discovered(target: Manifest, parsed: Parsed, facts: Facts) -> Manifest:
    """Whether a Prometheus selects our monitor, and one our rules."""
    found = verification.subjects(facts)
    if unserved := sorted(facts.unserved & _wanted_kinds(parsed) & {"ServiceMonitor", "PrometheusRule"}):
        finding = Finding(None, "NotServed", f"the cluster does not serve {_and(unserved)}")
    elif not any(subject.what == "ServiceMonitor" for subject in found):
        finding = Finding(None, "NoMonitor", "there is no ServiceMonitor yet")
    else:
        finding = selection.discovered(target["metadata"]["name"], found, facts.instances, facts.rejections)
    return told("Discovered", finding)


def rules_loaded(target: Manifest, parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError]) -> Manifest:
    """Whether a Prometheus has each of the rules that the spec asks for, and none of them fails.

    Of a spec that is refused nothing is expected: those that there are were written for an earlier one.
    """
    name = target["metadata"]["name"]
    if parsed.errors and not any(key.kind == "PrometheusRule" for key in facts.children):
        return condition("RulesLoaded", status=None, reason="NotAccepted", message="nothing is written until Accepted")
    alerts = parsed.spec.alerts if parsed.spec and not parsed.errors else None
    expected = {
        **{one.name: "" for one in child_errors if one.kind == "PrometheusRule" and one.reason != "NotServed"},
        **({naming.rules(name): ""} if alerts and alerts.enabled else {}),
        **({naming.extra_rules(name): "; ".join(parsed.warnings)} if alerts and alerts.extra_groups else {}),
    }
    return told("RulesLoaded", verification.rules_loaded(facts, expected))


def told(kind: str, finding: Finding) -> Manifest:
    """A finding of the doctor as a condition."""
    return condition(kind, status=finding.holds, reason=finding.reason, message=finding.message)


def ready(conditions: Sequence[Manifest]) -> Manifest:
    """Accepted and AgentsReady: what `helm --wait` and GitOps tools look at."""
    wanting = [c for c in conditions if c["type"] in {"Accepted", "AgentsReady"} and c["status"] != "True"]
    if wanting:
        return {**wanting[0], "type": "Ready"}
    agents = next(condition for condition in conditions if condition["type"] == "AgentsReady")
    reason = "Ready" if agents["reason"] == "AgentsReady" else agents["reason"]
    return condition("Ready", status=True, reason=reason, message=agents["message"])


_EARLIER = "by an earlier spec, for the newest is refused (see Accepted): "


def monitored(conditions: Sequence[Manifest]) -> Manifest:
    """Discovered, RulesLoaded and Scraped: whether the monitoring works; also that of a spec before a refused one."""
    parts = [c for c in conditions if c["type"] in {"Discovered", "RulesLoaded", "Scraped"}]
    for status in ("False", "Unknown"):
        if wanting := [part for part in parts if part["status"] == status]:
            return {**wanting[0], "type": "Monitored", "message": f"{wanting[0]['type']}: {wanting[0]['message']}"}
    refused = any(one["type"] == "Accepted" and one["status"] == "False" for one in conditions)
    message = "; ".join(part["message"] for part in parts[1:])
    return condition("Monitored", status=True, reason="Monitored", message=f"{_EARLIER if refused else ''}{message}")
