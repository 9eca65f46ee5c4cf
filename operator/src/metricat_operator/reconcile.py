"""The only orchestration: gather -> build -> apply -> prune -> status.

Level-triggered: everything desired is computed anew from what is there now, so it does not matter which event led here.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from metricat_operator.api.parse import Parsed, parse
from metricat_operator.cluster.apply import Applier
from metricat_operator.cluster.facts import Observer
from metricat_operator.manifests import Context, build
from metricat_operator.observed import Facts, Manifest, ObjectKey, Trouble
from metricat_operator.settings import Settings
from metricat_operator.status import compute

log = structlog.get_logger(__name__)

Report = Callable[[Manifest, Manifest], None]
"""Called with the target and a condition whose status or reason changed."""


def _utc() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reconciler:
    """Brings one target's children and status to what they should be."""

    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        applier: Applier,
        report: Report,
        now: Callable[[], str] = _utc,
    ) -> None:
        self._settings = settings
        self._observer = observer
        self._applier = applier
        self._report = report
        self._now = now

    async def reconcile(self, target: Manifest) -> Manifest:
        """One pass; returns the target, with its status as it is now.

        Raises:
            TemporaryTroubleError: the API server could not be asked; try again later.
        """
        metadata = target["metadata"]
        if "deletionTimestamp" in metadata:
            return target  # its children are collected with it, by their owner references
        parsed = parse(target.get("spec") or {})
        troubles: list[Trouble] = []
        if parsed.spec and not parsed.errors and not parsed.spec.paused:
            troubles = await self._bring_about(self._context(target, parsed), self._facts(target))
        return await self._tell(target, parsed, troubles)

    def _facts(self, target: Manifest) -> Facts:
        metadata = target["metadata"]
        return self._observer.facts(metadata["namespace"], metadata["name"], metadata["uid"])

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
        )

    async def _bring_about(self, context: Context, facts: Facts) -> list[Trouble]:
        troubles = []
        wanted = set()
        for desired in build(context):
            key = ObjectKey(desired["kind"], desired["metadata"]["name"])
            wanted.add(key)
            if key.kind in facts.unserved:
                continue
            troubles.append(await self._applier.apply(desired, facts.children.get(key)))
        for key, live in facts.children.items():
            if key not in wanted:
                troubles.append(await self._applier.prune(key, live))
        return [trouble for trouble in troubles if trouble]

    async def _tell(self, target: Manifest, parsed: Parsed, troubles: list[Trouble]) -> Manifest:
        before = target.get("status", {})
        status = compute(target, parsed, self._facts(target), troubles, self._now())
        if status == before:
            return target
        written = await self._applier.write_status(target, status)
        if written is None:
            return target
        known = {c["type"]: (c["status"], c["reason"]) for c in before.get("conditions", [])}
        for condition in status["conditions"]:
            if known.get(condition["type"]) != (condition["status"], condition["reason"]):
                self._report(target, condition)
        return written
