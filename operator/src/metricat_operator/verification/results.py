"""What the answers of Prometheus mean for a person who wants to know whether the cluster is monitored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator.api.fields import seconds
from metricat_operator.facts.model import Facts, Manifest, Taker
from metricat_operator.facts.prometheus_query import Answer, Group, wording
from metricat_operator.verification.live_rules import groups, name_of
from metricat_operator.verification.queries import subjects
from metricat_operator.verification.retention import forgotten
from metricat_operator.verification.selection import Finding, Subject, listed, obstacle

_KUBELET = "a change is there within two minutes"
_RELOADER = "kubectl logs -n {0.namespace} -l app.kubernetes.io/instance={0.name} -c config-reloader"
_REFUSED = (
    "its newest configuration is refused, whosever fault that is: "
    "kubectl logs -n {0.namespace} -l app.kubernetes.io/instance={0.name} -c prometheus"
)
_PAUSED = (
    "its spec.paused keeps the Prometheus Operator from giving it anything new: "
    """kubectl patch {0.resource} {0.name} -n {0.namespace} --type merge -p '{{"spec": {{"paused": false}}}}'"""
)


@dataclass(frozen=True)
class Scraping:
    """Whether samples arrive, and of how many nodes; `up` is None where nobody could be asked."""

    finding: Finding
    up: int | None = None


def rules_loaded(facts: Facts, expected: Mapping[str, str]) -> Finding:
    """Whether each PrometheusRule is loaded by somebody and no rule of it fails.

    `expected` are the names of those that there should be, with what our own parser doubts of each.
    """
    if expected and "PrometheusRule" in facts.unserved:
        return Finding(None, "NotServed", "the cluster does not serve PrometheusRule")
    rules = {one.manifest["metadata"]["name"]: one for one in subjects(facts) if one.what == "PrometheusRule"}
    if absent := sorted(expected.keys() - rules):
        return Finding(
            holds=False, reason="NoRules", message=f"there is no PrometheusRule {listed(absent)}: see Applied"
        )
    if not rules:
        return Finding(holds=True, reason="NoRules", message="there are none to load: spec.alerts has none")
    found = [
        _best([_rule(facts, rule, taker, expected.get(name, "")) for taker in _takers(facts, rule)], rule)
        for name, rule in rules.items()
    ]
    wrong = [one for one in found if not one.holds]
    told = wrong or found
    worst = min(told, key=lambda one: (one.holds is None, one.holds is True))
    return Finding(worst.holds, worst.reason, listed(list(dict.fromkeys(one.message for one in told)), "; "))


def scraped(facts: Facts, wanted: Iterable[str], without: Mapping[str, str]) -> Scraping:
    """Whether a Prometheus has samples of every node that is wanted; `without` says why nodes have no ready agent."""
    nodes = sorted(wanted)
    if "ServiceMonitor" in facts.unserved:
        return Scraping(Finding(None, "NotServed", "the cluster does not serve ServiceMonitor"))
    monitor = next((subject for subject in subjects(facts) if subject.what == "ServiceMonitor"), None)
    if monitor is None:
        return Scraping(Finding(None, "NoMonitor", "there is no ServiceMonitor yet"))
    if not nodes:
        return Scraping(Finding(holds=True, reason="NoNodes", message="no node is to be scraped"), 0)
    found = [(_up(facts, nodes, taker), _scraping(facts, nodes, without, taker)) for taker in _takers(facts, monitor)]
    known = [up for up, finding in found if finding.holds is not None]
    best = _best([finding for _, finding in sorted(found, key=lambda one: -one[0])], monitor)
    return Scraping(best, max(known) if known else None)


def _takers(facts: Facts, subject: Subject) -> list[Taker]:
    return [taker for taker in facts.takers if subject.what in taker.selectors and obstacle("", subject, taker) is None]


def _best(findings: Sequence[Finding], subject: Subject) -> Finding:
    """One for which it holds is enough; else what is known to be wrong, and then what is not known."""
    if not findings:
        return Finding(None, "NotDiscovered", f"nobody selects the {subject.what}: see Discovered")
    for wanted in (True, False, None):
        if same := [finding for finding in findings if finding.holds is wanted]:
            rest = [] if wanted else [finding for finding in findings if finding.holds is not wanted]
            return Finding(wanted, same[0].reason, listed([one.message for one in [*same, *rest]], "; "))
    raise AssertionError(findings)


def _answer(facts: Facts, taker: Taker) -> Answer:
    asking = Answer(str(taker), ("Asking", "it is being asked"))
    return next((answer for answer in facts.answers if answer.taker == str(taker)), asking)


def _rule(facts: Facts, rule: Subject, taker: Taker, doubts: str) -> Finding:
    """What one Prometheus makes of one PrometheusRule."""
    metadata = rule.manifest["metadata"]
    name = f"PrometheusRule {metadata['name']}"
    for rejection in facts.rejections:
        if rejection.uid == metadata["uid"] and rejection.taker in {"", str(taker)}:
            message = f"the Prometheus Operator leaves {name} out of {taker}: {rejection.message}"
            return Finding(holds=False, reason="RuleRejected", message=f"{message}; {doubts}" if doubts else message)
    answer = _answer(facts, taker)
    if answer.trouble:
        return Finding(None, answer.trouble[0], f"{taker}: {answer.trouble[1]}")
    rules = {Group(metadata["uid"], group): its for group, its in groups(rule.manifest).items()}
    wanted = {group: sorted(map(name_of, its)) for group, its in rules.items()}
    loaded = {group: sorted(one.name for one in answer.rules if one.group == group) for group in wanted}
    if missing := [group.name for group in wanted if loaded[group] != wanted[group]]:
        counts = f"{len(wanted) - len(missing)} of {len(wanted)} groups of {name}"
        message = f"{taker} has {counts}; not {listed(missing)} as they are now: {_due(answer, taker)}"
        return Finding(holds=False, reason="RulesNotLoaded", message=message)
    failing = [one for one in answer.rules if one.group in wanted and one.health == "err"]
    if failing:
        told = [f"{one.name} in group {one.group.name} of {name} fails: {one.error}" for one in failing]
        return Finding(holds=False, reason="RuleFails", message=f"{taker}: {listed(told, '; ')}")
    older = _older(rules, answer)
    counted = f"{taker} has the {sum(map(len, rules.values()))} rules of {name}"
    if older or not answer.reloaded:
        how = f"but as they were before: {listed(older)}" if older else "perhaps as they were before"
        return Finding(None, "NotReloaded", f"{counted}, {how}: {_due(answer, taker)}")
    message = f"{counted}{forgotten([one for its in rules.values() for one in its], taker)}"
    return Finding(holds=True, reason="RulesLoaded", message=message)


def _older(rules: Mapping[Group, Sequence[Manifest]], answer: Answer) -> list[str]:
    """The alerts that are loaded with other texts, or with another `for`, than they have now."""
    loaded = {(one.group, one.name, one.wording) for one in answer.rules}
    alerts = [(group, rule) for group, its in rules.items() for rule in its if "alert" in rule]

    def words(rule: Manifest) -> int:
        return wording(seconds(rule.get("for", "0s")), rule.get("annotations") or {})

    return sorted({rule["alert"] for group, rule in alerts if (group, rule["alert"], words(rule)) not in loaded})


def _due(answer: Answer, taker: Taker) -> str:
    """When the newest rules will be loaded, or what keeps them from it."""
    if taker.paused:
        return _PAUSED.format(taker)
    return f"{_KUBELET}; if not: {_RELOADER.format(taker)}" if answer.reloaded else _REFUSED.format(taker)


def _up(facts: Facts, nodes: Sequence[str], taker: Taker) -> int:
    answer = _answer(facts, taker)
    return sum(answer.nodes.get(node, False) for node in nodes)


def _scraping(facts: Facts, nodes: Sequence[str], without: Mapping[str, str], taker: Taker) -> Finding:
    """What one Prometheus has of the nodes."""
    answer = _answer(facts, taker)
    counts = f"{_up(facts, nodes, taker)}/{len(nodes)} nodes are up in {taker}"
    lacking = [node for node in nodes if not answer.nodes.get(node, False)]
    if not lacking:
        return Finding(holds=True, reason="Scraped", message=counts)
    if answer.trouble:
        return Finding(None, answer.trouble[0], f"{taker}: {answer.trouble[1]}")
    if not answer.nodes:
        return Finding(holds=False, reason="NoTargets", message=f"{counts}: {_no_targets(answer, taker, facts)}")

    def why(node: str) -> str:
        if node in without:
            return f"no ready agent: {without[node]}"
        return answer.errors.get(node, "down") if node in answer.nodes else "no target"

    down = any(node in answer.nodes for node in lacking)
    told = listed([f"{node}: {why(node)}" for node in lacking], "; ")
    return Finding(holds=False, reason="TargetsDown" if down else "TargetsMissing", message=f"{counts}; {told}")


def _no_targets(answer: Answer, taker: Taker, facts: Facts) -> str:
    """Why a Prometheus that selects the monitor scrapes nothing for it."""
    if not answer.reloaded:
        return _REFUSED.format(taker)
    monitor = next(key.name for key in facts.children if key.kind == "ServiceMonitor")
    namespace = next(child["metadata"]["namespace"] for child in facts.children.values())
    if not answer.configured and taker.paused:
        return _PAUSED.format(taker)
    if not answer.configured:
        return (
            f"its configuration lacks serviceMonitor/{namespace}/{monitor}: {_KUBELET}; if not, does the Prometheus "
            "Operator look into the namespace (its --namespaces and --deny-namespaces)? and: "
            f"{_RELOADER.format(taker)}"
        )
    account = f"system:serviceaccount:{taker.namespace}:{taker.account}"
    return (
        f"it discovers no agent; it must be allowed to list services, pods and endpointslices in {namespace}: "
        f"kubectl auth can-i list pods -n {namespace} --as {account}"
    )
