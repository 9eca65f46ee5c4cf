"""Reconcile one target: gather facts, build children, apply, prune, write the status. Only this module does so.

Level-triggered: each pass computes all of the desired state from the current state, whichever event triggered it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from metricat_operator.api.overlap import selected
from metricat_operator.api.parse import Parsed, parse
from metricat_operator.api.pools import requirements
from metricat_operator.cluster.apply import Applier, ClaimLostError, TargetGoneError, TemporaryChildError
from metricat_operator.cluster.client import NotLeaderError
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.events import SETTLE_SECONDS, Events
from metricat_operator.cluster.other_operators import OtherOperators, claimed_by
from metricat_operator.cluster.prometheus_poller import PrometheusPoller
from metricat_operator.conditions import Condition, Reason
from metricat_operator.controller.postponed_events import PostponedEvents
from metricat_operator.controller.status_throttle import StatusThrottle
from metricat_operator.facts.model import ChildError, Event, Facts, Manifest, ObjectKey, OperatorClaim
from metricat_operator.manifests import Context, build_children
from metricat_operator.settings import Settings
from metricat_operator.status import (
    MAX_UNCOVERED,
    Uncovered,
    all_uncovered,
    changed_conditions,
    claim_status,
    claimed_condition,
    compute_status,
    internal_error_status,
    is_unchanged,
    is_urgent,
    unexplained,
)
from metricat_operator.verification import choose_default_labels, prometheus_queries

log = structlog.get_logger(__name__)

_RECHECK_CLAIM_SECONDS = 10.0
"""Seconds until the claim of another operator is checked again: no event announces that its release is uninstalled."""

_RETRY_REFUSED_SECONDS = 15.0
"""Seconds until a refused write is retried: no event announces a corrected role, policy or quota."""

Report = Callable[[Manifest, Condition], None]
"""Called with the target and each condition whose status or reason changed."""

OnClaim = Callable[[Manifest, OperatorClaim], None]
"""Called at each reconcile with the target and which operator manages it."""

OnUncovered = Callable[[Manifest, list[Uncovered]], None]
"""Called with the target and all its uncovered nodes, or with none if `status.uncovered` has all of them."""


def _internal_error_text(error: Exception) -> str:
    return f"Internal error in Metricat: {type(error).__name__}: {error}. Please report it with the operator's log."


async def _capture_error(key: ObjectKey, work: Awaitable[ChildError | None]) -> ChildError | None:
    """Return the error of one child, so that the other children are still written."""
    try:
        return await work
    except NotLeaderError:
        raise
    except Exception as error:
        log.exception("cannot read or write a child object", kind=key.kind, name=key.name)
        return ChildError(key.kind, key.name, Reason.INTERNAL_ERROR, _internal_error_text(error), temporary=True)


def _utc_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Reconciler:
    """Brings the children and the status of a target to the desired state."""

    _settings: Settings
    _cluster: ClusterCache
    _applier: Applier
    _poller: PrometheusPoller
    _events: Events
    _report: Report
    _operators: OtherOperators
    _on_claim: OnClaim
    _on_uncovered: OnUncovered
    _accepted: dict[str, Manifest] = field(default_factory=dict)
    """The last accepted spec of each target, by its UID."""
    _throttle: StatusThrottle = field(default_factory=StatusThrottle)
    _postponed: PostponedEvents = field(default_factory=PostponedEvents)

    async def reconcile(self, target: Manifest) -> Manifest:
        """Run one pass and return the target with its current status.

        Raises:
            TemporaryChildError: a temporary failure, reported in the status; retry later.
            TargetGoneError: the target no longer exists.
            ClaimLostError: another operator claimed the target since it was read.
            NotLeaderError: this replica may not write, because it is not the leader.
            Exception: an internal error, reported in the status.
        """
        if "deletionTimestamp" in target["metadata"]:
            return target  # the garbage collector deletes the children by their owner references
        claim = await self._operators.claim(target)
        self._on_claim(target, claim)
        if not claim.mine:
            return await self._leave(target, claim)
        try:
            return await self._reconcile_once(await self._claimed(target, claim), claim)
        except (TemporaryChildError, TargetGoneError, ClaimLostError, NotLeaderError):
            raise
        except Exception as error:
            status = internal_error_status(target, _internal_error_text(error), _utc_now())
            if not is_unchanged(status, target.get("status", {})):
                await self._applier.write_status(target, status)
            raise

    def forget(self, uid: str) -> None:
        """Remove the last accepted spec of a deleted target."""
        self._accepted.pop(uid, None)

    async def _leave(self, target: Manifest, claim: OperatorClaim) -> Manifest:
        """Leave a target to another operator. An older one does not report that, so write the condition for it."""
        key = (target["metadata"]["namespace"], target["metadata"]["name"])
        self._poller.forget(key)
        self._cluster.requeue_after(*key, _RECHECK_CLAIM_SECONDS)
        if claim.reason is Reason.OLDER_OPERATOR and (condition := claimed_condition(target, claim, _utc_now())):
            await self._applier.write_condition(target, condition)
        return target

    async def _claimed(self, target: Manifest, claim: OperatorClaim) -> Manifest:
        """Claim the target before its first object is written, if another operator runs or has claimed it.

        Otherwise the first write of the status claims it, at no cost.
        """
        holder = claimed_by(target)
        if holder == claim.operator or not claim.stored or not (claim.others or holder):
            return target
        log.info("claims the target", operator=claim.operator, claimed_by=holder)
        return self._check_claim(await self._applier.write_status(target, claim_status(target, claim)))

    def _check_claim(self, written: Manifest) -> Manifest:
        if not claimed_by(written):
            self._operators.claim_was_dropped()
        return written

    async def _reconcile_once(self, target: Manifest, claim: OperatorClaim) -> Manifest:
        metadata = target["metadata"]
        parsed = parse(target.get("spec") or {}, self._cluster.older_claims(target))
        child_errors: list[ChildError] = []
        valid = self._last_valid(target, parsed)
        if valid and valid.spec and not valid.spec.paused:
            child_errors = await self._apply_children(target, valid)
        written = await self._update_status(target, parsed, child_errors, claim)
        if passing := [trouble for trouble in child_errors if trouble.temporary]:
            message = "; ".join(f"{one.kind} {one.name}: {one.message}" for one in passing)
            raise TemporaryChildError(passing[0].reason, message, max(one.retry_after for one in passing))
        if any(trouble.reason != Reason.NOT_SERVED for trouble in child_errors):
            self._cluster.requeue_after(metadata["namespace"], metadata["name"], _RETRY_REFUSED_SECONDS)
        return written

    def _last_valid(self, target: Manifest, parsed: Parsed) -> Parsed | None:
        """Return the spec whose objects should exist: the last accepted one while the current one is rejected.

        See docs/design/0002. A rejected spec that pauses the target changes no object either.
        """
        uid, spec = target["metadata"]["uid"], target.get("spec") or {}
        if not parsed.errors:
            self._accepted[uid] = spec
            return parsed
        if uid not in self._accepted or spec.get("paused") is True:
            return None
        last = parse(self._accepted[uid], self._cluster.older_claims(target))
        return None if last.errors else last

    def _facts(self, target: Manifest, parsed: Parsed) -> Facts:
        """Gather the facts about a target; for an invalid spec with all nodes, since agents may run on any of them."""
        metadata = target["metadata"]
        wanted = requirements(parsed.spec.node_selector) if parsed.spec and not parsed.errors else ()
        return self._cluster.facts(metadata["namespace"], metadata["name"], metadata["uid"], wanted)

    def _context(self, target: Manifest, parsed: Parsed, facts: Facts) -> Context:
        assert parsed.spec is not None  # noqa: S101 (for the type checker; the caller checked it)
        metadata = target["metadata"]
        choice = choose_default_labels(metadata["name"], metadata["namespace"], parsed.spec, facts)
        return Context(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            spec=parsed.spec,
            agent_image=self._settings.agent_image,
            agent_image_pull_policy=self._settings.agent_image_pull_policy,
            agent_image_pull_secrets=self._settings.agent_image_pull_secrets,
            older=selected(parsed.older),
            default_labels=choice.labels,
        )

    async def _apply_children(self, target: Manifest, parsed: Parsed) -> list[ChildError]:
        facts = self._facts(target, parsed)
        wanted = {
            ObjectKey(one["kind"], one["metadata"]["name"]): one
            for one in build_children(self._context(target, parsed, facts))
        }
        served = {key: desired for key, desired in wanted.items() if key.kind not in facts.unserved}
        if target.get("status", {}).get("conditions") and not served.keys() <= facts.children.keys():
            await self._applier.ensure_exists(target)  # a target without a status was received a moment ago
        apply, prune = self._applier.apply, self._applier.prune
        child_errors = [await _capture_error(key, apply(one, facts.children.get(key))) for key, one in served.items()]
        unwanted = [(key, live) for key, live in facts.children.items() if key not in wanted]
        child_errors += [await _capture_error(key, prune(key, live)) for key, live in unwanted]
        return [trouble for trouble in child_errors if trouble]

    async def _update_status(
        self, target: Manifest, parsed: Parsed, child_errors: list[ChildError], claim: OperatorClaim
    ) -> Manifest:
        before = target.get("status", {})
        key = (target["metadata"]["namespace"], target["metadata"]["name"])
        facts = self._facts(target, parsed)
        if claim.others or claim.not_found or not claim.stored:
            self._cluster.requeue_after(*key, _RECHECK_CLAIM_SECONDS)
        facts = replace(
            facts,
            claim=claim,
            query_results=self._poller.subscribe(
                key, prometheus_queries(facts, self._settings.may_query, self._settings.namespace)
            ),
        )
        status = compute_status(target, parsed, facts, child_errors, _utc_now())
        if events := await self._fetch_events(target, parsed, facts, uncovered=bool(status["uncovered"])):
            facts = replace(facts, events=events)
            status = compute_status(target, parsed, facts, child_errors, _utc_now())
        self._on_uncovered(target, all_uncovered(parsed, facts) if status["nodes"]["uncovered"] > MAX_UNCOVERED else [])
        uid, changed = target["metadata"]["uid"], changed_conditions(status, before)
        if is_unchanged(status, before):
            self._throttle.unchanged(uid)
            self._report_due(target, status)
            return target
        if wait := self._throttle.wait(uid, urgent=is_urgent(status, before)):
            self._cluster.requeue_after(*key, wait)
            return target
        written = await self._applier.write_status(target, status)
        if claim.stored:
            self._check_claim(written)
        for condition in self._postponed.immediate(uid, changed):
            self._report(target, condition)
        self._report_due(target, status)
        return written

    def _report_due(self, target: Manifest, status: Manifest) -> None:
        """Report the conditions whose event was postponed until now. Requeue the target for the next one."""
        metadata = target["metadata"]
        conditions = [found for one in status["conditions"] if (found := Condition.parse(one))]
        for condition in self._postponed.due(metadata["uid"], conditions):
            self._report(target, condition)
        if (wait := self._postponed.wait(metadata["uid"])) is not None:
            self._cluster.requeue_after(metadata["namespace"], metadata["name"], wait + 1)

    async def _fetch_events(
        self, target: Manifest, parsed: Parsed, facts: Facts, *, uncovered: bool
    ) -> Mapping[str, Event]:
        """Fetch events about uncovered nodes without a known cause; requeue the target while any remain."""
        metadata = target["metadata"]
        asked = unexplained(parsed, facts) if uncovered else {}
        if asked:
            self._cluster.requeue_after(metadata["namespace"], metadata["name"], SETTLE_SECONDS)
        return await self._events.about(metadata["uid"], metadata["namespace"], asked)
