"""Brings children to what they should be, writing only where they differ."""

import structlog

from metricat_operator import naming
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.kinds import BY_NAME, TARGET, Kind
from metricat_operator.drift import find_drift, first_difference, foreign_fields, replacement
from metricat_operator.facts.model import ChildError, Manifest, ObjectKey
from metricat_operator.naming import FIELD_MANAGER

log = structlog.get_logger(__name__)

_NO_VERSION = "1"
"""A resource version that no object has: it is that of the empty store."""

_RACES = 3
"""How often a write may find that the object was changed since it was looked at."""


class TemporaryChildError(Exception):
    """Something failed in a way that may pass; the reconcile is to be tried again.

    Attributes:
        reason: machine-readable, that of the first trouble met.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TargetGoneError(Exception):
    """The target was deleted, or another one has its name, and nobody said so: its watch missed it."""


class NameTakenError(Exception):
    """An object of that name is somebody else's."""


class Applier:
    """Writes children and status; what a write returns goes into the caches, ahead of their watches."""

    def __init__(self, client: Client, cluster: ClusterCache) -> None:
        self._client = client
        self._observer = cluster

    async def ensure_exists(self, target: Manifest) -> None:
        """Ask the API server whether the target is still there, before anything is created in its name.

        Raises:
            TargetGoneError: it is not.
            TemporaryTroubleError: the API server could not be asked.
        """
        metadata = target["metadata"]
        try:
            found = await self._client.get(TARGET, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if error.status == 404:
                raise TargetGoneError from error
            raise TemporaryChildError(error.reason, f"cannot look at the target: {error}") from error
        if found["metadata"]["uid"] != metadata["uid"]:
            raise TargetGoneError

    async def apply(self, desired: Manifest, live: Manifest | None) -> ChildError | None:
        """Create or mend one child. A failure is told, and never keeps the others from being written."""
        kind = BY_NAME[desired["kind"]]
        name = desired["metadata"]["name"]
        try:
            written = await (self._mend(kind, desired, live) if live else self._create(kind, desired))
        except NameTakenError as error:
            return ChildError(kind.name, name, "NameTaken", str(error))
        except ApiError as error:
            if error.status == 404:
                self._observer.children[kind.name].relist()
            return _trouble(error, kind, name)
        if written is None:
            return None
        self._observer.children[kind.name].put(written)
        return _put_back(desired, written) if live else None

    async def prune(self, key: ObjectKey, live: Manifest) -> ChildError | None:
        """Delete a child that is no longer wanted; a failure is told."""
        kind, metadata = BY_NAME[key.kind], live["metadata"]
        if "deletionTimestamp" in metadata:
            return None
        try:
            await self._client.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        except ApiError as error:
            return _trouble(error, kind, key.name)
        log.info("pruned", kind=kind.name, name=key.name)
        return None

    async def write_status(self, target: Manifest, status: Manifest) -> Manifest:
        """Replace the status; returns the target as it is now.

        Raises:
            TargetGoneError: there is no such target any more.
            TemporaryTroubleError: the API server could not be asked, or asks to wait.
        """
        metadata = target["metadata"]
        manifest = {
            "apiVersion": target["apiVersion"],
            "kind": target["kind"],
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "status": status,
        }
        try:
            written = await self._client.apply(TARGET, manifest, force=True, subresource="status")
            if not (operations := foreign_fields(status, written)):
                return written
            return await self._client.patch(
                TARGET, metadata["namespace"], metadata["name"], operations, subresource="status"
            )
        except ApiError as error:
            if error.status in {404, 409}:  # 409: the UID is another one's
                raise TargetGoneError from error
            raise TemporaryChildError(error.reason, f"cannot write the status: {error}") from error

    async def _create(self, kind: Kind, desired: Manifest) -> Manifest:
        """Create, unless somebody else has made an object of this name: an apply would merge ours into theirs.

        The version that no object ever has keeps the apply from meeting one: where there is none, the API server
        pays no heed to it.
        """
        metadata = desired["metadata"]
        try:
            written = await self._client.apply(kind, _with_version(desired, _NO_VERSION), force=True)
        except ApiError as error:
            if error.status != 409:
                raise
            there = await self._client.get(kind, metadata["namespace"], metadata["name"])
            if other := _other_owner(there, desired):
                raise NameTakenError(
                    f"{kind.name} {metadata['name']} is that of the {other['kind']} {other['name']}; if that is this "
                    "target's own name, it goes by itself with the former one, else rename the target or its pool"
                ) from error
            if not _ours(there, desired):
                raise NameTakenError(
                    f"{kind.name} {metadata['name']} exists and is not Metricat's; rename or delete it"
                ) from error
            desired = _with_version(desired, there["metadata"]["resourceVersion"])
            written = await self._client.apply(kind, desired, force=True)
        log.info("applied", kind=kind.name, name=metadata["name"])
        return written

    async def _mend(self, kind: Kind, desired: Manifest, live: Manifest) -> Manifest | None:
        """Write what differs. The object may be changed by others between our look and our write: look again then."""
        metadata = live["metadata"]
        for tries in range(1, _RACES + 1):
            try:
                return await self._mend_once(kind, desired, live)
            except ApiError as error:
                if error.status not in {409, 422} or tries == _RACES:
                    raise
                live = await self._client.get(kind, metadata["namespace"], metadata["name"])
        return None

    async def _mend_once(self, kind: Kind, desired: Manifest, live: Manifest) -> Manifest | None:
        metadata = live["metadata"]
        written = None
        found = find_drift(desired, live)
        if found.apply:
            try:
                written = await self._client.apply(kind, desired, force=True)
            except ApiError as error:
                if error.status != 422 or not found.remove:
                    raise
                operations = replacement(desired, live)
                await self._client.patch(kind, metadata["namespace"], metadata["name"], operations)
                written = await self._client.apply(kind, desired, force=True)
            found = find_drift(desired, written)
        if found.remove:
            operations = found.patch((written or live)["metadata"]["resourceVersion"])
            written = await self._client.patch(kind, metadata["namespace"], metadata["name"], operations)
        if written is not None:
            log.info("mended", kind=kind.name, name=metadata["name"], removed=[str(path) for path in found.remove])
        return written


def _with_version(manifest: Manifest, version: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def _other_owner(there: Manifest, desired: Manifest) -> Manifest | None:
    """Whose the object is, if it is another's: two targets may have pools whose children come to the same name."""
    mine = desired["metadata"]["ownerReferences"][0]["uid"]
    owners = there["metadata"].get("ownerReferences", [])
    return next((one for one in owners if one.get("controller") and one["uid"] != mine), None)


def _ours(there: Manifest, desired: Manifest) -> bool:
    """Whether it is the target's, or was made by us: someone may have taken the owner reference away."""
    metadata = there["metadata"]
    owners = {owner["uid"] for owner in metadata.get("ownerReferences", [])}
    return desired["metadata"]["ownerReferences"][0]["uid"] in owners or any(
        entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        for entry in metadata.get("managedFields", [])
    )


def _put_back(desired: Manifest, written: Manifest) -> ChildError | None:
    """What is still not as desired in the very answer to our write: somebody changes it on its way."""
    if not (field := first_difference(desired, written)):
        return None
    kind, name = desired["kind"], desired["metadata"]["name"]
    message = (
        f"{field} is changed as it is written, most likely by an admission webhook or policy: let that leave objects "
        f"labelled {naming.MANAGED} alone, or set the field in the target as it wants it"
    )
    return ChildError(kind, name, "ChangedOnWrite", message, temporary=True)


def _trouble(error: ApiError, kind: Kind, name: str) -> ChildError:
    if "because it is being terminated" in str(error):
        return ChildError(kind.name, name, "NamespaceTerminating", str(error))
    if error.status == 404 and kind.optional:
        return ChildError(kind.name, name, "NotServed", str(error))
    return ChildError(kind.name, name, error.reason, str(error), temporary=error.temporary)
