"""What a target's status says: from the facts, the troubles met, and the status before."""

from collections.abc import Sequence

from metricat_operator import verification
from metricat_operator.api.parse import Parsed
from metricat_operator.facts.model import ChildError, Facts, Manifest
from metricat_operator.status.causes import ON_THE_WAY
from metricat_operator.status.conditions import (
    accepted,
    agents_ready,
    applied,
    condition,
    discovered,
    monitored,
    ready,
    rules_loaded,
    told,
)
from metricat_operator.status.coverage import Uncovered, coverage
from metricat_operator.status.members import members, taken, updated, virtual
from metricat_operator.status.notifications import notified

MAX_UNCOVERED = 50

_OURS = frozenset({"Accepted", "AgentsReady", "Discovered", "RulesLoaded", "Scraped", "Notified", "Ready"})
"""The conditions that stay as they were where a fault of our own ends a pass."""

_SUMS = frozenset({"Ready", "Monitored"})
"""Conditions that repeat others."""

_VIRTUAL = "a virtual node runs no DaemonSets; what runs on it can be measured by its provider only"


def compute_status(
    target: Manifest, parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError], now: str
) -> Manifest:
    """The whole status. `now` is RFC 3339, in UTC; a condition keeps its time while its status stays the same."""
    pools = members(parsed, facts)
    wanted = [node for pool in pools for node in pool.nodes]
    uncovered = coverage(pools, facts)
    lost = taken(parsed, facts)
    without = {node.node for node in uncovered}
    # A virtual node cannot have an agent: it is told, and keeps nothing from being ready.
    fronts = [Uncovered(node, pool, "VirtualNode", _VIRTUAL) for node, pool in virtual(parsed, facts).items()]
    conditions = [
        accepted(parsed, lost, running=bool(facts.children)),
        applied(parsed, facts, child_errors),
        agents_ready(wanted, uncovered, lost, facts, child_errors),
    ]
    reasons = {node.node: node.reason for node in uncovered}
    scraping = verification.scraped(facts, [node.name for node in wanted], reasons)
    conditions += [
        discovered(target, parsed, facts),
        rules_loaded(target, parsed, facts, child_errors),
        told("Scraped", scraping.finding),
    ]
    conditions += [*notified(target, parsed, facts), ready(conditions), monitored(conditions)]
    generation = target["metadata"]["generation"]
    before = {condition["type"]: condition for condition in target.get("status", {}).get("conditions", [])}
    found: Manifest = {
        "observedGeneration": generation,
        "conditions": [_stamped(condition, before, generation, now) for condition in conditions],
        "nodes": {
            "desired": len(wanted),
            "ready": len(wanted) - len(uncovered),
            "updated": updated(facts),
            "uncovered": len(uncovered) + len(fronts),
            **({} if scraping.up is None else {"scraped": scraping.up}),
        },
        "uncovered": [
            {"node": node.node, "pool": node.pool, "reason": node.reason, "message": node.message}
            for node in [*uncovered, *fronts][:MAX_UNCOVERED]
        ],
    }
    if len(pools) > 1:
        found["pools"] = [
            {
                "name": pool.pool,
                "desired": len(pool.nodes),
                "ready": sum(node.name not in without for node in pool.nodes),
            }
            for pool in pools
        ]
    return found


def internal_error_status(target: Manifest, message: str, now: str) -> Manifest:
    """The status as it was, but for what a fault of our own keeps us from knowing."""
    before, generation = target.get("status", {}), target["metadata"]["generation"]
    known = {one["type"]: one for one in before.get("conditions", [])}
    unknown = [
        condition(kind, status=None, reason="InternalError", message=message) for kind in ("Applied", "Monitored")
    ]
    found = [one for one in known.values() if one["type"] in _OURS] + [
        _stamped(one, known, generation, now) for one in unknown
    ]
    return {**before, "observedGeneration": generation, "conditions": found}


def is_unchanged(status: Manifest, before: Manifest) -> bool:
    """Whether the status is already written; conditions of others, and the order of all, do not count."""

    def content(of: Manifest) -> Manifest:
        ours = {one["type"]: one for one in of.get("conditions", []) if one["type"] in types}
        return {**of, "conditions": ours}

    types = {condition["type"] for condition in status["conditions"]}
    return content(status) == content(before)


def changed_conditions(status: Manifest, before: Manifest) -> list[Manifest]:
    """The conditions that are worth an event: their status or reason changed.

    What only sums up others is not; nor is it news that Prometheus is being asked, or that a target's first agents are
    still to come.
    """
    known = {one["type"]: (one["status"], one["reason"]) for one in before.get("conditions", [])}
    found = [
        one
        for one in status["conditions"]
        if one["type"] not in _SUMS
        and one["reason"] != "Asking"
        and known.get(one["type"]) != (one["status"], one["reason"])
    ]
    return found if known else [one for one in found if one["status"] == "False" and one["type"] != "AgentsReady"]


def is_urgent(status: Manifest, before: Manifest) -> bool:
    """Whether it is news that cannot wait: more than how far a target's agents have come on their way."""
    if status["observedGeneration"] != before.get("observedGeneration"):
        return True  # whoever wrote the spec waits for it
    if _troubles(status) - _troubles(before):
        return True
    known = {one["type"]: one["status"] for one in before.get("conditions", [])}
    changed = changed_conditions(status, before)
    return any(one["type"] != "AgentsReady" or known.get("AgentsReady") != one["status"] for one in changed)


def _troubles(status: Manifest) -> set[str]:
    """Why nodes have no ready agent, apart from those whose agents are on their way."""
    return {one["reason"] for one in status.get("uncovered", [])} - ON_THE_WAY


def _stamped(condition: Manifest, before: dict[str, Manifest], generation: int, now: str) -> Manifest:
    old = before.get(condition["type"], {})
    since = old["lastTransitionTime"] if old.get("status") == condition["status"] else now
    return {**condition, "observedGeneration": generation, "lastTransitionTime": since}
