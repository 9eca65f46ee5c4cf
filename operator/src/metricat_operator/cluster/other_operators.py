"""The other operators of the cluster, and the operator that manages a target. See docs/design/0023.

An operator is identified by the namespace and name of its Lease, which are those of its Deployment and LeaderFence. So
all replicas of a release, and all its versions, are one operator.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from metricat_operator import naming
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import LEASE, SUBJECT_ACCESS_REVIEW
from metricat_operator.cluster.outage import Outage
from metricat_operator.cluster.watch import Cache, kept_metadata
from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Manifest, OperatorClaim

log = structlog.get_logger(__name__)

EXPIRY_SECONDS = 60.0
"""Seconds without a renewal of its Lease after which an operator has stopped: longer than a restart of one replica."""

_POLL_SECONDS = 5.0
_REVIEW_SECONDS = 15.0
"""Seconds for which a result of an access review is used."""

_CRD_RETRY_SECONDS = 600.0
"""Seconds until a claim is written again after a CRD without the field dropped it."""
_OLD_CRD = (
    f"the CRD {naming.PLURAL}.{naming.GROUP} is older than this operator and has no status.operator, so operators of "
    "other releases cannot detect which operator manages a target; update the CRDs: "
    "kubectl apply --server-side --force-conflicts -f crds"
)


@dataclass(frozen=True)
class OtherOperator:
    """An operator of another release that runs and may write the statuses of a namespace."""

    identity: str
    claims: bool = True
    """Whether its version claims targets; an older version reconciles every target of its namespaces."""


def decide(me: str, target: Manifest, others: Iterable[OtherOperator]) -> OperatorClaim:
    """Return which operator manages the target.

    The order of precedence is: an operator of an older version, the operator that the annotation names, the operator
    that claims the target in its status, `me`.
    """
    metadata = target["metadata"]
    named = (metadata.get("annotations") or {}).get(naming.OPERATOR_ANNOTATION, "")
    holder = claimed_by(target)
    running = {one.identity: one.claims for one in others}
    if older := next((identity for identity, claims in running.items() if not claims), ""):
        return OperatorClaim(older, mine=False, reason=Reason.OLDER_OPERATOR)
    if named in running:
        return OperatorClaim(named, mine=False, reason=Reason.NAMED_OPERATOR)
    if named != me and holder in running:
        return OperatorClaim(holder, mine=False, reason=Reason.CLAIMED_BY_OTHER)
    if named == me:
        return OperatorClaim(me)
    return OperatorClaim(me, others=tuple(running), not_found=named)


def claimed_by(target: Manifest) -> str:
    """Return the operator that claims the target in its status; empty if none does."""
    return str((target.get("status") or {}).get("operator") or "")


def trim_fence(fence: Manifest) -> Manifest:
    """Trim a LeaderFence to its metadata, and to whether its holder claims targets."""
    return {"metadata": kept_metadata(fence), "claims": holder_claims(fence)}


def holder_claims(fence: Manifest) -> bool:
    """Return whether the holder wrote that it claims targets; an older version keeps the annotation of a newer one."""
    holder = (fence.get("spec") or {}).get("holderIdentity")
    return bool(holder) and (fence["metadata"].get("annotations") or {}).get(naming.CLAIMS_ANNOTATION) == holder


@dataclass
class _Lease:
    renewed: float
    """Time at which a renewal was last seen. Without one, the time of the first attempt to read the Lease."""
    spec: Manifest = field(default_factory=dict)


class OtherOperators:
    """Observes the Leases of other operators, and reviews with the API server which namespaces each may write."""

    def __init__(
        self,
        me: str,
        client: Client,
        fences: Cache,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._me = me
        self._client = client
        self._fences = fences
        self._changed = changed
        self._clock = clock
        self._leases: dict[str, _Lease] = {}
        self._reviews: dict[tuple[str, str], tuple[float, bool]] = {}
        self._reads = Outage("read the Lease of another operator")
        self._access_reviews = Outage("review the access of another operator")
        self._not_stored_until = float("-inf")

    async def run(self) -> None:
        """Read the Leases of the other operators until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            before = [identity for identity in self._leases if self._renewed(identity)]
            for identity in {*self._leases, *self._fenced()} - {self._me}:
                await self._observe(identity)
            if before != [identity for identity in self._leases if self._renewed(identity)]:
                self._changed()

    async def claim(self, target: Manifest) -> OperatorClaim:
        """Return which operator manages the target."""
        namespace = target["metadata"]["namespace"]
        fenced = self._fenced()
        identities = sorted({*fenced, claimed_by(target)} - {self._me, ""})
        others = [
            OtherOperator(identity, fenced.get(identity, True))
            for identity in identities
            if await self._may_write(identity, namespace) and self._renewed(identity)
        ]
        found = decide(self._me, target, others)
        return OperatorClaim(
            found.operator, found.mine, found.reason, found.others, found.not_found, stored=self._is_stored()
        )

    def claim_was_dropped(self) -> None:
        """Note that the API server dropped a claim: the CRD is older than this operator."""
        if self._is_stored():
            log.warning(_OLD_CRD, retry_seconds=int(_CRD_RETRY_SECONDS))
        self._not_stored_until = self._clock() + _CRD_RETRY_SECONDS

    def _is_stored(self) -> bool:
        return self._clock() >= self._not_stored_until

    def _fenced(self) -> dict[str, bool]:
        """Return the operators that have a LeaderFence, each with whether it claims targets."""
        return {f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["claims"] for one in self._fences}

    def _renewed(self, identity: str) -> bool:
        """Return whether the operator renewed its Lease recently. At first sight, it counts as renewed."""
        lease = self._leases.setdefault(identity, _Lease(self._clock()))
        return self._clock() - lease.renewed < EXPIRY_SECONDS

    async def _observe(self, identity: str) -> None:
        lease = self._leases.setdefault(identity, _Lease(self._clock()))
        namespace, _, name = identity.partition("/")
        try:
            spec = (await self._client.get(LEASE, namespace, name)).get("spec") or {}
        except ApiError as error:
            if error.status == 404:
                self._reads.ended()
            else:
                self._reads.failed(str(error), lease=identity)
            return
        self._reads.ended()
        if spec.get("holderIdentity") and spec != lease.spec:
            self._leases[identity] = _Lease(self._clock(), spec)

    async def _may_write(self, identity: str, namespace: str) -> bool:
        """Return whether the operator may write statuses in the namespace: after an uninstall it may not.

        If the API server cannot be queried, the answer is yes: the target is left to the other operator.
        """
        if not naming.is_operator_identity(identity):
            return False
        return await self._reviewed(identity, "") or await self._reviewed(identity, namespace)

    async def _reviewed(self, identity: str, namespace: str) -> bool:
        until, allowed = self._reviews.get((identity, namespace), (float("-inf"), False))
        if self._clock() < until:
            return allowed
        review = {"spec": _access(identity, namespace)}
        kind = SUBJECT_ACCESS_REVIEW
        try:
            found = await self._client.create(kind, {"apiVersion": kind.api_version, "kind": kind.name, **review})
        except ApiError as error:
            self._access_reviews.failed(str(error), operator=identity)
            return True
        self._access_reviews.ended()
        allowed = bool(found.get("status", {}).get("allowed"))
        self._reviews[identity, namespace] = (self._clock() + _REVIEW_SECONDS, allowed)
        return allowed


def _access(identity: str, namespace: str) -> Manifest:
    """Return the review of whether the operator may write the statuses of targets; no namespace means all."""
    own_namespace, _, name = identity.partition("/")
    return {
        "user": f"system:serviceaccount:{own_namespace}:{name}",
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{own_namespace}", "system:authenticated"],
        "resourceAttributes": {
            "namespace": namespace,
            "verb": "patch",
            "group": naming.GROUP,
            "resource": naming.PLURAL,
            "subresource": "status",
        },
    }
