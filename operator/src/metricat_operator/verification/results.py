"""Evaluation of the query results of each Prometheus: whether rules are loaded and nodes are scraped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Facts, Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_query import QueryResult, RuleGroup, fingerprint
from metricat_operator.verification.live_rules import for_seconds, groups, name_of
from metricat_operator.verification.queries import subjects
from metricat_operator.verification.retention import beyond_retention
from metricat_operator.verification.selection import Finding, Subject, join_words, selection_problem

_WAIT = "Changes normally load within two minutes"
_RELOADER = "kubectl logs -n {0.namespace} -l app.kubernetes.io/instance={0.name} -c config-reloader"
_CONFIG_REJECTED = (
    "Prometheus rejects its newest configuration (the cause may be another object). See: "
    "kubectl logs -n {0.namespace} -l app.kubernetes.io/instance={0.name} -c prometheus"
)
_PAUSED = (
    "Its spec.paused is true, so the Prometheus Operator does not update it. To resume, run: "
    """kubectl patch {0.resource} {0.name} -n {0.namespace} --type merge -p '{{"spec": {{"paused": false}}}}'"""
)


@dataclass(frozen=True)
class Scraping:
    """The finding about samples, and the number of nodes that are up; None if no Prometheus could be queried."""

    finding: Finding
    up: int | None = None


def rules_loaded(facts: Facts, expected: Mapping[str, str]) -> Finding:
    """Return the finding about the rules: whether a Prometheus has loaded each PrometheusRule, and no rule fails.

    `expected` holds the names of the PrometheusRules that should exist, with the warnings of Metricat's parser on each.
    """
    if expected and "PrometheusRule" in facts.unserved:
        return Finding(None, Reason.NOT_SERVED, "The cluster does not serve PrometheusRule. See Applied.")
    rules = {one.manifest["metadata"]["name"]: one for one in subjects(facts) if one.kind == "PrometheusRule"}
    if absent := sorted(expected.keys() - rules):
        return Finding(
            holds=False, reason=Reason.NO_RULES, message=f"No PrometheusRule {join_words(absent)} exists. See Applied."
        )
    if not rules:
        return Finding(
            holds=True, reason=Reason.NO_RULES, message="No PrometheusRules are expected: spec.alerts defines none."
        )
    found = [
        _best([_rule(facts, rule, instance, expected.get(name, "")) for instance in selecting(facts, rule)], rule)
        for name, rule in rules.items()
    ]
    wrong = [one for one in found if not one.holds]
    reported = wrong or found
    worst = min(reported, key=lambda one: (one.holds is None, one.holds is True))
    return Finding(worst.holds, worst.reason, join_words(list(dict.fromkeys(one.message for one in reported)), "; "))


def scraped(facts: Facts, wanted: Iterable[str], without: Mapping[str, str], no_nodes: Finding) -> Scraping:
    """Return the finding about the samples: whether a Prometheus has samples of all `wanted` nodes.

    `without` holds the reason of each node that has no ready agent. `no_nodes` is the finding if no node is wanted.
    """
    nodes = sorted(wanted)
    if "ServiceMonitor" in facts.unserved:
        return Scraping(Finding(None, Reason.NOT_SERVED, "The cluster does not serve ServiceMonitor. See Applied."))
    monitor = next((subject for subject in subjects(facts) if subject.kind == "ServiceMonitor"), None)
    if monitor is None:
        return Scraping(Finding(None, Reason.NO_MONITOR, "No ServiceMonitor exists yet. See Applied."))
    if not nodes:
        return Scraping(no_nodes, 0)
    found = [
        (_up(facts, nodes, instance), _scraping(facts, nodes, without, instance))
        for instance in selecting(facts, monitor)
    ]
    known = [up for up, finding in found if finding.holds is not None]
    best = _best([finding for _, finding in sorted(found, key=lambda one: -one[0])], monitor)
    return Scraping(best, max(known) if known else None)


def selecting(facts: Facts, subject: Subject) -> list[PrometheusInstance]:
    """Return the instances that select an object."""
    return [
        instance
        for instance in facts.instances
        if subject.kind in instance.selectors and selection_problem("", subject, instance) is None
    ]


def _best(findings: Sequence[Finding], subject: Subject) -> Finding:
    """Return the best finding: one that holds is enough; otherwise a known problem comes before an unknown state."""
    if not findings:
        return Finding(None, Reason.NOT_SELECTED, f"No Prometheus selects the {subject.kind}. See Selected.")
    for wanted in (True, False, None):
        if same := [finding for finding in findings if finding.holds is wanted]:
            rest = [] if wanted else [finding for finding in findings if finding.holds is not wanted]
            return Finding(wanted, same[0].reason, join_words([one.message for one in [*same, *rest]], "; "))
    raise AssertionError(findings)


def _result(facts: Facts, instance: PrometheusInstance) -> QueryResult:
    pending = QueryResult(str(instance), (Reason.QUERY_PENDING, "Waiting for the first response from this Prometheus."))
    return next((result for result in facts.query_results if result.instance == str(instance)), pending)


def _rule(facts: Facts, rule: Subject, instance: PrometheusInstance, warnings: str) -> Finding:
    """Return the state of one PrometheusRule in one Prometheus."""
    metadata = rule.manifest["metadata"]
    name = f"PrometheusRule {metadata['name']}"
    for rejection in facts.rejections:
        if rejection.uid == metadata["uid"] and rejection.instance in {"", str(instance)}:
            message = f"The Prometheus Operator rejects {name} for {instance}: {rejection.message}"
            message = "; ".join(filter(None, (message, warnings)))
            return Finding(holds=False, reason=Reason.RULE_REJECTED, message=message)
    result = _result(facts, instance)
    if result.problem:
        return Finding(None, result.problem[0], f"{instance}: {result.problem[1]}")
    rules = {RuleGroup(metadata["uid"], group): its for group, its in groups(rule.manifest).items()}
    wanted = {group: sorted(map(name_of, its)) for group, its in rules.items()}
    loaded = {group: sorted(one.name for one in result.rules if one.group == group) for group in wanted}
    if missing := [group.name for group in wanted if loaded[group] != wanted[group]]:
        counts = f"{len(wanted) - len(missing)} of {len(wanted)} groups of {name}"
        message = (
            f"{instance} has loaded {counts}. Missing or outdated: {join_words(missing)}. "
            f"{_when_loaded(result, instance)}"
        )
        return Finding(holds=False, reason=Reason.RULES_NOT_LOADED, message=message)
    failing = [one for one in result.rules if one.group in wanted and one.health == "err"]
    if failing:
        errors = [f"{one.name} in group {one.group.name} of {name} fails: {one.error}" for one in failing]
        message = f"{instance}: {join_words(errors, '; ')}"
        return Finding(holds=False, reason=Reason.RULE_EVALUATION_FAILED, message=message)
    older = _older(rules, result)
    number = sum(map(len, rules.values()))
    counts = f"{instance} has loaded the {number} rule{'' if number == 1 else 's'} of {name}"
    if older or not result.reloaded:
        version = f"but an earlier version of {join_words(older)}" if older else "but possibly an earlier version"
        reason = Reason.RELOAD_PENDING if result.reloaded else Reason.CONFIG_REJECTED_BY_PROMETHEUS
        return Finding(None, reason, f"{counts}, {version}. {_when_loaded(result, instance)}")
    message = f"{counts}{beyond_retention([one for its in rules.values() for one in its], instance)}"
    return Finding(holds=True, reason=Reason.RULES_LOADED, message=message)


def _older(rules: Mapping[RuleGroup, Sequence[Manifest]], result: QueryResult) -> list[str]:
    """Return the alerts whose loaded texts or `for` differ from the current ones."""
    loaded = {(one.group, one.name, one.fingerprint) for one in result.rules}
    alerts = [(group, rule) for group, its in rules.items() for rule in its if "alert" in rule]

    def is_loaded(group: RuleGroup, rule: Manifest) -> bool:
        hold = for_seconds(rule)
        if hold is None:  # Prometheus cannot load such a rule
            return False
        return (group, rule["alert"], fingerprint(hold, rule.get("annotations") or {})) in loaded

    return sorted({rule["alert"] for group, rule in alerts if not is_loaded(group, rule)})


def _when_loaded(result: QueryResult, instance: PrometheusInstance) -> str:
    """Return when the newest rules will be loaded, or what prevents it."""
    if not result.reloaded:
        return _CONFIG_REJECTED.format(instance)
    if instance.paused:
        return _PAUSED.format(instance)
    return f"{_WAIT}. If not, check: {_RELOADER.format(instance)}"


def _up(facts: Facts, nodes: Sequence[str], instance: PrometheusInstance) -> int:
    result = _result(facts, instance)
    return sum(result.nodes.get(node, False) for node in nodes)


def _scraping(facts: Facts, nodes: Sequence[str], without: Mapping[str, str], instance: PrometheusInstance) -> Finding:
    """Return which nodes one Prometheus scrapes."""
    result = _result(facts, instance)
    counts = f"{_up(facts, nodes, instance)}/{len(nodes)} nodes are up in {instance}"
    lacking = [node for node in nodes if not result.nodes.get(node, False)]
    if not lacking:
        return Finding(holds=True, reason=Reason.SCRAPED, message=counts)
    if result.problem:
        return Finding(None, result.problem[0], f"{instance}: {result.problem[1]}")
    if not result.nodes:
        message = f"{counts}. {_no_targets(result, instance, facts)}"
        return Finding(holds=False, reason=Reason.NO_TARGETS, message=message)

    def why(node: str) -> str:
        if node in without:
            return f"no ready agent: {without[node]}"
        return result.errors.get(node, "down") if node in result.nodes else "no target"

    down = any(node in result.nodes for node in lacking)
    causes = join_words([f"{node}: {why(node)}" for node in lacking], "; ")
    reason = Reason.TARGETS_DOWN if down else Reason.TARGETS_MISSING
    return Finding(holds=False, reason=reason, message=f"{counts}; {causes}")


def _no_targets(result: QueryResult, instance: PrometheusInstance, facts: Facts) -> str:
    """Return why a Prometheus that selects the ServiceMonitor scrapes no agent."""
    if not result.reloaded:
        return _CONFIG_REJECTED.format(instance)
    monitor = next(key.name for key in facts.children if key.kind == "ServiceMonitor")
    namespace = next(child["metadata"]["namespace"] for child in facts.children.values())
    if not result.configured and instance.paused:
        return _PAUSED.format(instance)
    if not result.configured:
        return (
            f"Its configuration lacks serviceMonitor/{namespace}/{monitor}. {_WAIT}. If not, check whether the "
            "Prometheus Operator watches the namespace (its flags --namespaces and --deny-namespaces), and: "
            f"{_RELOADER.format(instance)}"
        )
    account = f"system:serviceaccount:{instance.namespace}:{instance.account}"
    return (
        f"It discovers no agent. Check that it may list services, pods and endpointslices in {namespace}: "
        f"kubectl auth can-i list pods -n {namespace} --as {account}"
    )
