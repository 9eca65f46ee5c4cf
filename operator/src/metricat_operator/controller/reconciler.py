"""The only orchestration: gather -> build -> apply -> prune -> status.

Level-triggered: everything desired is computed anew from what is there now, so it does not matter which event led here.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from metricat_operator.api.overlap import selected
from metricat_operator.api.parse import Parsed, parse
from metricat_operator.api.pools import requirements
from metricat_operator.cluster.apply import Applier, TargetGoneError, TemporaryChildError
from metricat_operator.cluster.client import NotLeaderError
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.events import PATIENCE, Events
from metricat_operator.cluster.prometheus_poller import PrometheusPoller
from metricat_operator.controller.status_throttle import StatusThrottle
from metricat_operator.facts.model import ChildError, Event, Facts, Manifest, ObjectKey
from metricat_operator.manifests import Context, build_children
from metricat_operator.settings import Settings
from metricat_operator.status import (
    changed_conditions,
    compute_status,
    internal_error_status,
    is_unchanged,
    is_urgent,
    unexplained,
)
from metricat_operator.verification import prometheus_queries

log = structlog.get_logger(__name__)

_LOOK_AGAIN = 60.0
"""Seconds after which what was refused is tried once more: a role, a policy or a quota that is mended tells nobody."""

Report = Callable[[Manifest, Manifest], None]
"""Called with the target and a condition whose status or reason changed."""


def _fault(error: Exception) -> str:
    return f"a fault of Metricat's own, of which its log tells more; please report it: {type(error).__name__}: {error}"


async def _guarded(key: ObjectKey, work: Awaitable[ChildError | None]) -> ChildError | None:
    """What is wrong with one child; whatever it is, the others are still written."""
    try:
        return await work
    except NotLeaderError:
        raise
    except Exception as error:
        log.exception("a child could not be looked at or written", kind=key.kind, name=key.name)
        return ChildError(key.kind, key.name, "InternalError", _fault(error), temporary=True)


def _utc() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Reconciler:
    """Brings one target's children and status to what they should be."""

    _settings: Settings
    _observer: ClusterCache
    _applier: Applier
    _asker: PrometheusPoller
    _events: Events
    _report: Report
    _pace: StatusThrottle = field(default_factory=StatusThrottle)

    async def reconcile(self, target: Manifest) -> Manifest:
        """One pass; returns the target, with its status as it is now.

        Raises:
            TemporaryTroubleError: something failed that may pass, and the status says what; try again later.
            TargetGoneError: the target is not there any more.
        """
        if "deletionTimestamp" in target["metadata"]:
            return target  # its children are collected with it, by their owner references
        try:
            return await self._pass(target)
        except (TemporaryChildError, TargetGoneError, NotLeaderError):
            raise
        except Exception as error:
            status = internal_error_status(target, _fault(error), _utc())
            if not is_unchanged(status, target.get("status", {})):
                await self._applier.write_status(target, status)
            raise

    async def _pass(self, target: Manifest) -> Manifest:
        metadata = target["metadata"]
        parsed = parse(target.get("spec") or {}, self._observer.older(target))
        child_errors: list[ChildError] = []
        if parsed.spec and not parsed.errors and not parsed.spec.paused:
            child_errors = await self._bring_about(target, parsed)
        written = await self._tell(target, parsed, child_errors)
        if passing := [trouble for trouble in child_errors if trouble.temporary]:
            told = "; ".join(f"{one.kind} {one.name}: {one.message}" for one in passing)
            raise TemporaryChildError(passing[0].reason, told)
        if any(trouble.reason != "NotServed" for trouble in child_errors):
            self._observer.remind(metadata["namespace"], metadata["name"], _LOOK_AGAIN)
        return written

    def _facts(self, target: Manifest, parsed: Parsed) -> Facts:
        """Where the spec makes no sense, the nodes are those of what runs, which may be any."""
        metadata = target["metadata"]
        wanted = requirements(parsed.spec.node_selector) if parsed.spec and not parsed.errors else ()
        return self._observer.facts(metadata["namespace"], metadata["name"], metadata["uid"], wanted)

    def _context(self, target: Manifest, parsed: Parsed) -> Context:
        assert parsed.spec is not None  # noqa: S101 (for the type checker; the caller looked)
        metadata = target["metadata"]
        return Context(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            spec=parsed.spec,
            agent_image=self._settings.agent_image,
            agent_image_pull_policy=self._settings.agent_image_pull_policy,
            agent_image_pull_secrets=self._settings.agent_image_pull_secrets,
            older=selected(parsed.older),
        )

    async def _bring_about(self, target: Manifest, parsed: Parsed) -> list[ChildError]:
        facts = self._facts(target, parsed)
        wanted = {
            ObjectKey(one["kind"], one["metadata"]["name"]): one
            for one in build_children(self._context(target, parsed))
        }
        served = {key: desired for key, desired in wanted.items() if key.kind not in facts.unserved}
        if target.get("status", {}).get("conditions") and not served.keys() <= facts.children.keys():
            await self._applier.ensure_exists(target)  # a target without a status was only just heard of
        apply, prune = self._applier.apply, self._applier.prune
        child_errors = [await _guarded(key, apply(one, facts.children.get(key))) for key, one in served.items()]
        unwanted = [(key, live) for key, live in facts.children.items() if key not in wanted]
        child_errors += [await _guarded(key, prune(key, live)) for key, live in unwanted]
        return [trouble for trouble in child_errors if trouble]

    async def _tell(self, target: Manifest, parsed: Parsed, child_errors: list[ChildError]) -> Manifest:
        before = target.get("status", {})
        key = (target["metadata"]["namespace"], target["metadata"]["name"])
        facts = self._facts(target, parsed)
        facts = replace(
            facts,
            query_results=self._asker.subscribe(
                key, prometheus_queries(facts, self._settings.may_query, self._settings.namespace)
            ),
        )
        status = compute_status(target, parsed, facts, child_errors, _utc())
        if events := await self._told(target, parsed, facts, uncovered=bool(status["uncovered"])):
            status = compute_status(target, parsed, replace(facts, events=events), child_errors, _utc())
        uid, changed = target["metadata"]["uid"], changed_conditions(status, before)
        if is_unchanged(status, before):
            self._pace.same(uid)
            return target
        if wait := self._pace.wait(uid, pressing=is_urgent(status, before)):
            self._observer.remind(*key, wait)
            return target
        written = await self._applier.write_status(target, status)
        for condition in changed:
            self._report(target, condition)
        return written

    async def _told(self, target: Manifest, parsed: Parsed, facts: Facts, *, uncovered: bool) -> Mapping[str, Event]:
        """What events say of that which nothing else explains; while that lasts, the target is looked at again."""
        metadata = target["metadata"]
        asked = unexplained(parsed, facts) if uncovered else {}
        if asked:
            self._observer.remind(metadata["namespace"], metadata["name"], PATIENCE)
        return await self._events.about(metadata["uid"], metadata["namespace"], asked)
