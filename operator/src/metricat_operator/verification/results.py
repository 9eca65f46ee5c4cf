"""What the answers of Prometheus mean for a person who wants to know whether the cluster is monitored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator.facts.model import Facts, Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_query import QueryResult, RuleGroup, fingerprint
from metricat_operator.verification.live_rules import groups, hold_seconds, name_of
from metricat_operator.verification.queries import subjects
from metricat_operator.verification.retention import forgotten
from metricat_operator.verification.selection import Finding, Subject, join_words, why_not_selected

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
            holds=False, reason="NoRules", message=f"there is no PrometheusRule {join_words(absent)}: see Applied"
        )
    if not rules:
        return Finding(holds=True, reason="NoRules", message="there are none to load: spec.alerts has none")
    found = [
        _best([_rule(facts, rule, instance, expected.get(name, "")) for instance in _instances(facts, rule)], rule)
        for name, rule in rules.items()
    ]
    wrong = [one for one in found if not one.holds]
    told = wrong or found
    worst = min(told, key=lambda one: (one.holds is None, one.holds is True))
    return Finding(worst.holds, worst.reason, join_words(list(dict.fromkeys(one.message for one in told)), "; "))


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
    found = [
        (_up(facts, nodes, instance), _scraping(facts, nodes, without, instance))
        for instance in _instances(facts, monitor)
    ]
    known = [up for up, finding in found if finding.holds is not None]
    best = _best([finding for _, finding in sorted(found, key=lambda one: -one[0])], monitor)
    return Scraping(best, max(known) if known else None)


def _instances(facts: Facts, subject: Subject) -> list[PrometheusInstance]:
    return [
        instance
        for instance in facts.instances
        if subject.what in instance.selectors and why_not_selected("", subject, instance) is None
    ]


def _best(findings: Sequence[Finding], subject: Subject) -> Finding:
    """One for which it holds is enough; else what is known to be wrong, and then what is not known."""
    if not findings:
        return Finding(None, "NotDiscovered", f"nobody selects the {subject.what}: see Discovered")
    for wanted in (True, False, None):
        if same := [finding for finding in findings if finding.holds is wanted]:
            rest = [] if wanted else [finding for finding in findings if finding.holds is not wanted]
            return Finding(wanted, same[0].reason, join_words([one.message for one in [*same, *rest]], "; "))
    raise AssertionError(findings)


def _answer(facts: Facts, instance: PrometheusInstance) -> QueryResult:
    asking = QueryResult(str(instance), ("Asking", "it is being asked"))
    return next(
        (query_result for query_result in facts.query_results if query_result.instance == str(instance)), asking
    )


def _rule(facts: Facts, rule: Subject, instance: PrometheusInstance, doubts: str) -> Finding:
    """What one Prometheus makes of one PrometheusRule."""
    metadata = rule.manifest["metadata"]
    name = f"PrometheusRule {metadata['name']}"
    for rejection in facts.rejections:
        if rejection.uid == metadata["uid"] and rejection.instance in {"", str(instance)}:
            message = f"the Prometheus Operator leaves {name} out of {instance}: {rejection.message}"
            return Finding(holds=False, reason="RuleRejected", message=f"{message}; {doubts}" if doubts else message)
    query_result = _answer(facts, instance)
    if query_result.trouble:
        return Finding(None, query_result.trouble[0], f"{instance}: {query_result.trouble[1]}")
    rules = {RuleGroup(metadata["uid"], group): its for group, its in groups(rule.manifest).items()}
    wanted = {group: sorted(map(name_of, its)) for group, its in rules.items()}
    loaded = {group: sorted(one.name for one in query_result.rules if one.group == group) for group in wanted}
    if missing := [group.name for group in wanted if loaded[group] != wanted[group]]:
        counts = f"{len(wanted) - len(missing)} of {len(wanted)} groups of {name}"
        message = f"{instance} has {counts}; not {join_words(missing)} as they are now: {_due(query_result, instance)}"
        return Finding(holds=False, reason="RulesNotLoaded", message=message)
    failing = [one for one in query_result.rules if one.group in wanted and one.health == "err"]
    if failing:
        told = [f"{one.name} in group {one.group.name} of {name} fails: {one.error}" for one in failing]
        return Finding(holds=False, reason="RuleFails", message=f"{instance}: {join_words(told, '; ')}")
    older = _older(rules, query_result)
    counted = f"{instance} has the {sum(map(len, rules.values()))} rules of {name}"
    if older or not query_result.reloaded:
        how = f"but as they were before: {join_words(older)}" if older else "perhaps as they were before"
        return Finding(None, "NotReloaded", f"{counted}, {how}: {_due(query_result, instance)}")
    message = f"{counted}{forgotten([one for its in rules.values() for one in its], instance)}"
    return Finding(holds=True, reason="RulesLoaded", message=message)


def _older(rules: Mapping[RuleGroup, Sequence[Manifest]], query_result: QueryResult) -> list[str]:
    """The alerts that are loaded with other texts, or with another `for`, than they have now."""
    loaded = {(one.group, one.name, one.fingerprint) for one in query_result.rules}
    alerts = [(group, rule) for group, its in rules.items() for rule in its if "alert" in rule]

    def is_loaded(group: RuleGroup, rule: Manifest) -> bool:
        hold = hold_seconds(rule)
        if hold is None:  # Prometheus cannot load such a rule
            return False
        return (group, rule["alert"], fingerprint(hold, rule.get("annotations") or {})) in loaded

    return sorted({rule["alert"] for group, rule in alerts if not is_loaded(group, rule)})


def _due(query_result: QueryResult, instance: PrometheusInstance) -> str:
    """When the newest rules will be loaded, or what keeps them from it."""
    if instance.paused:
        return _PAUSED.format(instance)
    return f"{_KUBELET}; if not: {_RELOADER.format(instance)}" if query_result.reloaded else _REFUSED.format(instance)


def _up(facts: Facts, nodes: Sequence[str], instance: PrometheusInstance) -> int:
    query_result = _answer(facts, instance)
    return sum(query_result.nodes.get(node, False) for node in nodes)


def _scraping(facts: Facts, nodes: Sequence[str], without: Mapping[str, str], instance: PrometheusInstance) -> Finding:
    """What one Prometheus has of the nodes."""
    query_result = _answer(facts, instance)
    counts = f"{_up(facts, nodes, instance)}/{len(nodes)} nodes are up in {instance}"
    lacking = [node for node in nodes if not query_result.nodes.get(node, False)]
    if not lacking:
        return Finding(holds=True, reason="Scraped", message=counts)
    if query_result.trouble:
        return Finding(None, query_result.trouble[0], f"{instance}: {query_result.trouble[1]}")
    if not query_result.nodes:
        return Finding(
            holds=False, reason="NoTargets", message=f"{counts}: {_no_targets(query_result, instance, facts)}"
        )

    def why(node: str) -> str:
        if node in without:
            return f"no ready agent: {without[node]}"
        return query_result.errors.get(node, "down") if node in query_result.nodes else "no target"

    down = any(node in query_result.nodes for node in lacking)
    told = join_words([f"{node}: {why(node)}" for node in lacking], "; ")
    return Finding(holds=False, reason="TargetsDown" if down else "TargetsMissing", message=f"{counts}; {told}")


def _no_targets(query_result: QueryResult, instance: PrometheusInstance, facts: Facts) -> str:
    """Why a Prometheus that selects the monitor scrapes nothing for it."""
    if not query_result.reloaded:
        return _REFUSED.format(instance)
    monitor = next(key.name for key in facts.children if key.kind == "ServiceMonitor")
    namespace = next(child["metadata"]["namespace"] for child in facts.children.values())
    if not query_result.configured and instance.paused:
        return _PAUSED.format(instance)
    if not query_result.configured:
        return (
            f"its configuration lacks serviceMonitor/{namespace}/{monitor}: {_KUBELET}; if not, does the Prometheus "
            "Operator look into the namespace (its --namespaces and --deny-namespaces)? and: "
            f"{_RELOADER.format(instance)}"
        )
    account = f"system:serviceaccount:{instance.namespace}:{instance.account}"
    return (
        f"it discovers no agent; it must be allowed to list services, pods and endpointslices in {namespace}: "
        f"kubectl auth can-i list pods -n {namespace} --as {account}"
    )
