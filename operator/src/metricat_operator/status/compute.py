"""The status of a target, computed from the facts, the errors of its children, and the earlier status."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from metricat_operator import verification
from metricat_operator.api.parse import Parsed
from metricat_operator.conditions import Condition, ConditionType, Reason
from metricat_operator.conditions.types import TYPES
from metricat_operator.facts.model import ChildError, Facts, Manifest, OperatorClaim
from metricat_operator.status.causes import EXPECTED
from metricat_operator.status.conditions import (
    accepted,
    agents_ready,
    applied,
    claimed,
    from_finding,
    monitored,
    ready,
    rules_loaded,
    selected,
)
from metricat_operator.status.coverage import Uncovered, coverage
from metricat_operator.status.members import members, owned_by_older, updated, virtual
from metricat_operator.status.node_selection import for_agents, nodes_selected
from metricat_operator.status.notifications import notifications_configured

MAX_UNCOVERED = 50

_VIRTUAL = "A virtual node runs no DaemonSets. Only its provider can measure the programs on it."


def compute_status(
    target: Manifest, parsed: Parsed, facts: Facts, child_errors: Sequence[ChildError], now: str
) -> Manifest:
    """Return the whole status. `now` is RFC 3339 in UTC; a condition keeps its time while its status stays the same."""
    pools = members(parsed, facts)
    wanted = [node for pool in pools for node in pool.nodes]
    uncovered = coverage(pools, facts)
    lost = owned_by_older(parsed, facts)
    without = {node.node for node in uncovered}
    fronts = _virtual_nodes(parsed, facts)
    selection = nodes_selected(pools, parsed, facts, lost)
    no_nodes = for_agents(selection)
    scraping = verification.scraped(
        facts, [node.name for node in wanted], {node.node: node.reason for node in uncovered}, no_nodes
    )
    conditions = [
        accepted(parsed, lost, running=bool(facts.children)),
        claimed(target, facts.claim),
        applied(parsed, facts, child_errors),
        from_finding(ConditionType.NODES_SELECTED, selection),
        agents_ready(wanted, uncovered, no_nodes, facts, child_errors),
        selected(target, parsed, facts),
        rules_loaded(target, parsed, facts, child_errors),
        from_finding(ConditionType.SCRAPED, scraping.finding),
        *notifications_configured(target, parsed, facts),
    ]
    conditions += [ready(conditions), monitored(conditions)]
    generation = target["metadata"]["generation"]
    before = _conditions(target.get("status", {}))
    found: Manifest = {
        "observedGeneration": generation,
        **({"operator": facts.claim.operator} if facts.claim.operator and facts.claim.stored else {}),
        "conditions": [_stamped(one, before, generation, now).manifest() for one in conditions],
        "nodes": {
            "desired": len(wanted),
            "ready": len(wanted) - len(uncovered),
            "updated": updated(facts),
            "uncovered": len(uncovered) + len(fronts),
            **({} if scraping.up is None else {"scraped": scraping.up}),
        },
        "uncovered": [
            {"node": node.node, "pool": node.pool, "reason": str(node.reason), "message": node.message}
            for node in [*uncovered, *fronts][:MAX_UNCOVERED]
        ],
    }
    if addresses := verification.prometheus_addresses(facts):
        found["prometheuses"] = addresses
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


def all_uncovered(parsed: Parsed, facts: Facts) -> list[Uncovered]:
    """Return all uncovered nodes; `status.uncovered` lists only the first `MAX_UNCOVERED` of them."""
    return [*coverage(members(parsed, facts), facts), *_virtual_nodes(parsed, facts)]


def _virtual_nodes(parsed: Parsed, facts: Facts) -> list[Uncovered]:
    """Return the virtual nodes. They cannot have an agent: they are listed, and the target may be ready without."""
    return [Uncovered(node, pool, Reason.VIRTUAL_NODE, _VIRTUAL) for node, pool in virtual(parsed, facts).items()]


def claim_status(target: Manifest, claim: OperatorClaim) -> Manifest:
    """Return the earlier status with the claim of this operator."""
    return {**target.get("status", {}), "operator": claim.operator}


def claimed_condition(target: Manifest, claim: OperatorClaim, now: str) -> Manifest | None:
    """Return the condition `Claimed` from an operator that does not manage the target; None if it is unchanged."""
    before = _conditions(target.get("status", {}))
    found = claimed(target, claim)
    old = before.get(ConditionType.CLAIMED)
    if old and (old.holds, old.reason, old.message) == (found.holds, found.reason, found.message):
        return None
    return _stamped(found, before, target["metadata"]["generation"], now).manifest()


def internal_error_status(target: Manifest, message: str, now: str) -> Manifest:
    """Return the earlier status after an internal error.

    Conditions that the error makes uncertain become Unknown; the others stay as they were.
    """
    before, generation = target.get("status", {}), target["metadata"]["generation"]
    known = _conditions(before)
    kept = [one for kind, one in known.items() if kind.about.survives_internal_error]
    unknown = [
        Condition(kind, holds=None, reason=Reason.INTERNAL_ERROR, message=message)
        for kind in ConditionType
        if not kind.about.survives_internal_error
    ]
    conditions = [*kept, *(_stamped(one, known, generation, now) for one in unknown)]
    return {**before, "observedGeneration": generation, "conditions": [one.manifest() for one in conditions]}


def is_unchanged(status: Manifest, before: Manifest) -> bool:
    """Return whether the status is already written; the order, and conditions of other writers, are ignored."""

    def content(of: Manifest) -> Manifest:
        return {**of, "conditions": {one["type"]: one for one in of.get("conditions", []) if one["type"] in types}}

    types = {one["type"] for one in status["conditions"]}
    return content(status) == content(before)


def changed_conditions(status: Manifest, before: Manifest) -> list[Condition]:
    """Return the conditions that need an event: their status or reason changed.

    Summaries and pending queries need no event. For a new target, only false conditions need one, and `AgentsReady`
    needs none: the agents are still starting.
    """
    known = _conditions(before)
    found = [
        one
        for kind, one in _conditions(status).items()
        if not kind.parts and one.reason != Reason.QUERY_PENDING and _outcome(known.get(kind)) != _outcome(one)
    ]
    if known:
        return found
    return [one for one in found if one.holds is False and one.type is not ConditionType.AGENTS_READY]


def is_urgent(status: Manifest, before: Manifest) -> bool:
    """Return whether to write the status immediately: more has changed than the progress of a rollout of agents."""
    if status["observedGeneration"] != before.get("observedGeneration"):
        return True  # the author of the spec waits for it
    if _problems(status) - _problems(before):
        return True
    agents = ConditionType.AGENTS_READY
    known = _conditions(before).get(agents)
    return any(
        one.type is not agents or known is None or known.holds is not one.holds
        for one in changed_conditions(status, before)
    )


def _conditions(status: Manifest) -> dict[ConditionType, Condition]:
    """Return the conditions of a status that Metricat owns; a current name wins over a former one."""
    former_first = sorted(status.get("conditions", []), key=lambda one: one["type"] in TYPES)
    found = map(Condition.parse, former_first)
    return {one.type: one for one in found if one}


def _outcome(condition: Condition | None) -> tuple[bool | None, str] | None:
    return None if condition is None else (condition.holds, condition.reason)


def _problems(status: Manifest) -> set[str]:
    """Return the reasons why nodes have no ready agent, without those of a normal rollout."""
    return {one["reason"] for one in status.get("uncovered", [])} - EXPECTED


def _stamped(condition: Condition, before: Mapping[ConditionType, Condition], generation: int, now: str) -> Condition:
    """Return the condition with its generation, and with its earlier time if its status stays the same."""
    old = before.get(condition.type)
    since = old.last_transition_time if old and old.holds is condition.holds else ""
    return replace(condition, observed_generation=generation, last_transition_time=since or now)
