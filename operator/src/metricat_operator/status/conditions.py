"""The conditions of a target, each computed from the facts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from metricat_operator import naming, verification
from metricat_operator.api.parse import Parsed
from metricat_operator.child_kinds import wanted_kinds
from metricat_operator.conditions import Condition, ConditionType, Reason
from metricat_operator.facts.model import ChildError, Facts, Manifest, Node, OperatorClaim
from metricat_operator.status.coverage import Uncovered
from metricat_operator.status.members import daemon_sets, updated
from metricat_operator.status.node_selection import shares
from metricat_operator.verification import selection
from metricat_operator.verification.selection import Finding

_INSTALL_OPERATOR = (
    "The cluster does not serve {kinds}. Install the Prometheus Operator, for example: helm install kps "
    "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack -n monitoring"
)
_NOT_ACCEPTED = "The spec is rejected (see Accepted). The managed objects stay as they are until the spec is accepted."


def from_finding(kind: ConditionType, finding: Finding) -> Condition:
    """Return the finding as a condition of this type."""
    return Condition(kind, finding.holds, finding.reason, finding.message)


def accepted(parsed: Parsed, lost: Counter[str], *, running: bool) -> Condition:
    """Return the condition Accepted: whether the spec is valid.

    `lost` counts, by older target, the selected nodes that it owns. `running` is whether objects of an earlier spec
    exist.
    """
    if parsed.errors:
        rest = (
            "Existing objects stay unchanged."
            if running
            else "The operator changes no managed objects until the spec is corrected."
        )
        reason = Reason.OVERLAPS if parsed.too_many_terms else Reason.INVALID
        return Condition(ConditionType.ACCEPTED, holds=False, reason=reason, message=_sentences([*parsed.errors, rest]))
    notes = list(parsed.warnings)
    if lost:
        notes.append(f"Some selected nodes belong to older MonitoringTargets: {shares(lost)}")
    reason = Reason.ACCEPTED_WITH_WARNINGS if parsed.warnings else Reason.OVERLAPS if lost else Reason.ACCEPTED
    message = _sentences(notes) or "The spec is valid."
    return Condition(ConditionType.ACCEPTED, holds=True, reason=reason, message=message)


def _sentences(messages: Sequence[str]) -> str:
    """Join messages; each but the last gets a full stop."""
    *others, last = messages or [""]
    return " ".join([*(f"{message.removesuffix('.')}." for message in others), last])


_LEFT = {
    Reason.CLAIMED_BY_OTHER: "it claimed the target first",
    Reason.NAMED_OPERATOR: f"the annotation {naming.OPERATOR_ANNOTATION} names it",
}


def claimed(target: Manifest, claim: OperatorClaim) -> Condition:
    """Return the condition Claimed: whether exactly one operator manages the target."""
    found = _claim_finding(target, claim)
    return from_finding(ConditionType.CLAIMED, found)


def _claim_finding(target: Manifest, claim: OperatorClaim) -> Finding:
    name, namespace = target["metadata"]["name"], target["metadata"]["namespace"]
    annotate = f"kubectl annotate mtarget {name} -n {namespace} --overwrite {naming.OPERATOR_ANNOTATION}"
    manages = f"The operator {claim.operator} manages this MonitoringTarget"
    if claim.reason is Reason.OLDER_OPERATOR:
        message = (
            f"{manages}. Its version does not read the claims of other operators, so newer operators leave the target "
            "to it. Upgrade or uninstall its release."
        )
        return Finding(holds=False, reason=Reason.OLDER_OPERATOR, message=message)
    if not claim.mine:
        message = (
            f"{manages}, because {_LEFT[claim.reason]}. Other operators do not change the target. To select another "
            f"operator, run: {annotate}=NAMESPACE/NAME"
        )
        return Finding(holds=False, reason=claim.reason, message=message)
    if not claim.stored:
        message = (
            f"{manages}, but the CRD {naming.PLURAL}.{naming.GROUP} has no status.operator, so other operators cannot "
            "detect that. Update the CRDs: kubectl apply --server-side --force-conflicts -f crds"
        )
        return Finding(holds=False, reason=Reason.CLAIM_NOT_STORED, message=message)
    if claim.not_found:
        message = (
            f"The annotation {naming.OPERATOR_ANNOTATION} names {claim.not_found}, which does not run or does not "
            f"watch this namespace. {manages}. Correct or remove the annotation: {annotate}-"
        )
        return Finding(holds=False, reason=Reason.OPERATOR_NOT_FOUND, message=message)
    if claim.others:
        message = (
            f"{manages}. Other operators also watch the namespace {namespace}, but do not change the target: "
            f"{_and(claim.others)}. Let only one operator watch the namespace (chart value operator.namespaces), or "
            f"name one: {annotate}={claim.operator}"
        )
        return Finding(holds=True, reason=Reason.OTHER_OPERATORS, message=message)
    return Finding(holds=True, reason=Reason.CLAIMED, message=f"{manages}.")


def applied(parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError]) -> Condition:
    """Return the condition Applied: whether every child object matches the spec."""
    kind = ConditionType.APPLIED
    if parsed.errors:
        return Condition(kind, holds=None, reason=Reason.NOT_ACCEPTED, message=_NOT_ACCEPTED)
    if parsed.spec and parsed.spec.paused:
        message = "spec.paused is true, so the operator changes no managed objects."
        return Condition(kind, holds=None, reason=Reason.PAUSED, message=message)
    other = [error for error in child_errors if error.reason != Reason.NOT_SERVED]
    if other:
        message = "; ".join(f"{error.kind} {error.name}: {error.message}" for error in other)
        return Condition(kind, holds=False, reason=other[0].reason, message=message)
    unserved = sorted({error.kind for error in child_errors} | (facts.unserved & _wanted_kinds(parsed)))
    if unserved:
        message = _INSTALL_OPERATOR.format(kinds=_and(unserved))
        return Condition(kind, holds=False, reason=Reason.NOT_SERVED, message=message)
    return Condition(kind, holds=True, reason=Reason.APPLIED, message="Every managed object matches the spec.")


def _wanted_kinds(parsed: Parsed) -> set[str]:
    """Return the child kinds that the spec needs."""
    return {kind.name for kind in wanted_kinds(parsed.spec)}


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def agents_ready(
    wanted: Sequence[Node],
    uncovered: Sequence[Uncovered],
    no_nodes: Finding,
    facts: Facts,
    child_errors: Sequence[ChildError],
) -> Condition:
    """Return the condition AgentsReady: whether every node that should have an agent has a ready, current agent.

    `no_nodes` is the finding for a target without nodes.
    `MutatedByAdmission` is ignored: a policy that sets another registry or one more label does not stop agents.
    """
    kind = ConditionType.AGENTS_READY
    counts = f"{len(wanted) - len(uncovered)}/{len(wanted)} nodes"
    failed = [one for one in child_errors if one.kind == "DaemonSet" and one.reason != Reason.MUTATED_BY_ADMISSION]
    if failed:
        return Condition(kind, holds=False, reason=failed[0].reason, message=failed[0].message)
    if not daemon_sets(facts):
        return Condition(
            kind, holds=False, reason=Reason.NO_DAEMON_SET, message="The agents are not deployed. See Applied."
        )
    if not wanted:
        return Condition(kind, no_nodes.holds, no_nodes.reason, no_nodes.message)
    if uncovered:
        first = ", ".join(f"{node.node}: {node.reason}" for node in uncovered[:3])
        more = f" and {len(uncovered) - 3} more" if len(uncovered) > 3 else ""
        return Condition(kind, holds=False, reason=Reason.NODES_UNCOVERED, message=f"{counts}; {first}{more}")
    if updated(facts) < len(wanted):
        message = f"{counts}; {updated(facts)} of them have the newest agent version"
        return Condition(kind, holds=False, reason=Reason.ROLLOUT_IN_PROGRESS, message=message)
    return Condition(kind, holds=True, reason=Reason.AGENTS_READY, message=counts)


def selected(target: Manifest, parsed: Parsed, facts: Facts) -> Condition:
    """Return the condition Selected: whether a Prometheus selects the ServiceMonitor and the PrometheusRules."""
    subjects = verification.subjects(facts)
    if unserved := sorted(facts.unserved & _wanted_kinds(parsed) & {"ServiceMonitor", "PrometheusRule"}):
        finding = Finding(None, Reason.NOT_SERVED, f"The cluster does not serve {_and(unserved)}. See Applied.")
    elif not any(subject.kind == "ServiceMonitor" for subject in subjects):
        finding = Finding(None, Reason.NO_MONITOR, "No ServiceMonitor exists yet. See Applied.")
    else:
        finding = selection.find_selection(target["metadata"]["name"], subjects, facts.instances, facts.rejections)
        finding = _with_default_labels(finding, target, parsed, facts)
    return from_finding(ConditionType.SELECTED, finding)


def _with_default_labels(finding: Finding, target: Manifest, parsed: Parsed, facts: Facts) -> Finding:
    """Return the finding with the labels that the operator has set, or with the Prometheuses that a user can choose."""
    if parsed.spec is None or parsed.errors:
        return finding
    name, namespace = target["metadata"]["name"], target["metadata"]["namespace"]
    choice = verification.choose_default_labels(name, namespace, parsed.spec, facts)
    if finding.holds is False and choice.options:
        message = verification.request_choice(name, namespace, parsed.spec, choice.options)
        return Finding(holds=False, reason=Reason.SEVERAL_PROMETHEUSES, message=message)
    if finding.holds is not False and (labels := str(choice)):
        return replace(finding, message=f"{finding.message}; the operator set the labels {labels}")
    return finding


def rules_loaded(target: Manifest, parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError]) -> Condition:
    """Return the condition RulesLoaded: whether a Prometheus has loaded every rule of the spec, and none fails.

    A rejected spec sets no expectation: existing rules were written for an earlier spec.
    """
    name = target["metadata"]["name"]
    if parsed.errors and not any(key.kind == "PrometheusRule" for key in facts.children):
        return Condition(ConditionType.RULES_LOADED, holds=None, reason=Reason.NOT_ACCEPTED, message=_NOT_ACCEPTED)
    alerts = parsed.spec.alerts if parsed.spec and not parsed.errors else None
    failed = [error for error in child_errors if error.kind == "PrometheusRule" and error.reason != Reason.NOT_SERVED]
    expected = {
        **dict.fromkeys((error.name for error in failed), ""),
        **({naming.rules(name): ""} if alerts and alerts.enabled else {}),
        **({naming.extra_rules(name): "; ".join(parsed.promql_warnings)} if alerts and alerts.extra_groups else {}),
    }
    return from_finding(ConditionType.RULES_LOADED, verification.rules_loaded(facts, expected))


def ready(conditions: Sequence[Condition]) -> Condition:
    """Return the condition Ready, which summarizes Accepted and AgentsReady for `helm --wait` and GitOps tools."""
    parts = [one for one in conditions if one.type in ConditionType.READY.parts]
    if missing := [one for one in parts if not one.holds]:
        return replace(missing[0], type=ConditionType.READY)
    agents = next(one for one in parts if one.type is ConditionType.AGENTS_READY)
    reason = Reason.READY if agents.reason == Reason.AGENTS_READY else agents.reason
    return replace(agents, type=ConditionType.READY, reason=reason)


_EARLIER = "Reported for the last accepted spec; the newest spec is rejected (see Accepted). "


def monitored(conditions: Sequence[Condition]) -> Condition:
    """Return the condition Monitored, which summarizes Selected, RulesLoaded and Scraped.

    If the newest spec is rejected, the condition describes the objects of the last accepted spec.
    """
    kind = ConditionType.MONITORED
    parts = [one for one in conditions if one.type in kind.parts]
    for holds in (False, None):
        if missing := [part for part in parts if part.holds is holds]:
            return replace(missing[0], type=kind, message=f"{missing[0].type}: {missing[0].message}")
    rejected = any(one.type is ConditionType.ACCEPTED and one.holds is False for one in conditions)
    message = "; ".join(part.message for part in parts[1:])
    return Condition(kind, holds=True, reason=Reason.MONITORED, message=f"{_EARLIER if rejected else ''}{message}")
