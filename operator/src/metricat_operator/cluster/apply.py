"""Apply, prune and repair of child objects, and writes of the status; only differences are written."""

import structlog

from metricat_operator import naming
from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.cluster.kinds import BY_NAME, TARGET, Kind
from metricat_operator.cluster.other_operators import claimed_by
from metricat_operator.conditions import Reason
from metricat_operator.drift import find_drift, first_difference, foreign_fields, replacement
from metricat_operator.facts.model import ChildError, Manifest, ObjectKey
from metricat_operator.naming import CLAIM_FIELD_MANAGER, FIELD_MANAGER

log = structlog.get_logger(__name__)

_NO_VERSION = "1"
"""A resource version that no object has: that of the empty store."""

_MAX_CONFLICTS = 3
"""Number of attempts at a write while other clients change the object between our read and our write."""


class TemporaryChildError(Exception):
    """A child object could not be written because of a temporary failure; the reconcile is retried.

    Attributes:
        reason: machine-readable, of the first failure.
        retry_after: least delay before the retry in seconds, as the API server requests.
    """

    def __init__(self, reason: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class TargetGoneError(Exception):
    """The target was deleted or another object replaced it, and the watch has not reported this yet."""


class ClaimLostError(Exception):
    """Another operator claimed the target between our read and our write."""


class NameConflictError(Exception):
    """An object with the name of a child object exists and belongs to another owner."""


class Applier:
    """Writes children and status, and stores the result of each write in the caches, ahead of their watches."""

    def __init__(self, client: Client, cluster: ClusterCache) -> None:
        self._client = client
        self._cluster = cluster

    async def ensure_exists(self, target: Manifest) -> None:
        """Check with the API server that the target still exists, before a child is created for it.

        Raises:
            TargetGoneError: it no longer exists.
            TemporaryChildError: the API server cannot be queried.
        """
        metadata = target["metadata"]
        try:
            found = await self._client.get(TARGET, metadata["namespace"], metadata["name"])
        except ApiError as error:
            if error.status == 404:
                raise TargetGoneError from error
            message = f"cannot read the MonitoringTarget: {error}"
            raise TemporaryChildError(error.reason, message, error.retry_after) from error
        if found["metadata"]["uid"] != metadata["uid"]:
            raise TargetGoneError

    async def apply(self, desired: Manifest, live: Manifest | None) -> ChildError | None:
        """Create or update one child; return its error, so that the other children are still written."""
        kind = BY_NAME[desired["kind"]]
        name = desired["metadata"]["name"]
        try:
            written = await (self._update(kind, desired, live) if live else self._create(kind, desired))
        except NameConflictError as error:
            return ChildError(kind.name, name, Reason.NAME_CONFLICT, str(error))
        except ApiError as error:
            if error.status == 404:
                self._cluster.children[kind.name].relist()
            return _child_error(error, kind, name)
        if written is None:
            return None
        self._cluster.children[kind.name].put(written)
        return _admission_mutation(desired, written) if live else None

    async def prune(self, key: ObjectKey, live: Manifest) -> ChildError | None:
        """Delete a child object that the target does not need any more; return an error if the deletion fails."""
        kind, metadata = BY_NAME[key.kind], live["metadata"]
        if "deletionTimestamp" in metadata:
            return None
        try:
            await self._client.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        except ApiError as error:
            return _child_error(error, kind, key.name)
        log.info("pruned", kind=kind.name, name=key.name)
        return None

    async def write_status(self, target: Manifest, status: Manifest) -> Manifest:
        """Replace the status and return the current target.

        A status that claims the target is written only if no other operator has claimed it since it was read.

        Raises:
            TargetGoneError: the target no longer exists.
            ClaimLostError: another operator has claimed the target.
            TemporaryChildError: the API server rejected the write or did not respond.
        """
        metadata = target["metadata"]
        manifest = _status_manifest(target, status)
        try:
            if status.get("operator", claimed_by(target)) != claimed_by(target):
                written = await self._claim(target, manifest)
            else:
                written = await self._client.apply(TARGET, manifest, force=True, subresource="status")
            if not (operations := foreign_fields(status, written)):
                return written
            return await self._client.patch(
                TARGET, metadata["namespace"], metadata["name"], operations, subresource="status"
            )
        except ApiError as error:
            if error.status in {404, 409}:  # 409: another object has the name, with another UID
                raise TargetGoneError from error
            message = f"cannot write the status: {error}"
            raise TemporaryChildError(error.reason, message, error.retry_after) from error

    async def write_condition(self, target: Manifest, condition: Manifest) -> None:
        """Write one condition of a target that an older operator manages, as another field manager.

        Raises:
            TemporaryChildError: the API server rejected the write or did not respond.
        """
        manifest = _status_manifest(target, {"conditions": [condition]})
        try:
            await self._client.apply(TARGET, manifest, force=True, subresource="status", manager=CLAIM_FIELD_MANAGER)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise TemporaryChildError(error.reason, f"cannot write the status: {error}") from error

    async def _claim(self, target: Manifest, manifest: Manifest) -> Manifest:
        """Write a status with a claim. The resource version makes the API server reject it after another claim."""
        metadata = target["metadata"]
        version = metadata["resourceVersion"]
        for _ in range(_MAX_CONFLICTS):
            try:
                return await self._client.apply(
                    TARGET, _with_version(manifest, version), force=True, subresource="status"
                )
            except ApiError as error:
                if error.status != 409:
                    raise
                found = await self._client.get(TARGET, metadata["namespace"], metadata["name"])
                if found["metadata"]["uid"] != metadata["uid"]:
                    raise TargetGoneError from error
                if claimed_by(found) not in {claimed_by(target), manifest["status"]["operator"]}:
                    raise ClaimLostError(claimed_by(found)) from error
                version = found["metadata"]["resourceVersion"]
        raise TemporaryChildError("Conflict", "cannot write the status: other clients keep changing the target")

    async def _create(self, kind: Kind, desired: Manifest) -> Manifest:
        """Create the object, unless an object of this name exists: an apply would merge ours into it.

        The apply carries a resource version that no object has, so it fails on an existing object. If none exists, the
        API server ignores the version.
        """
        metadata = desired["metadata"]
        try:
            written = await self._client.apply(kind, _with_version(desired, _NO_VERSION), force=True)
        except ApiError as error:
            if error.status != 409:
                raise
            existing = await self._client.get(kind, metadata["namespace"], metadata["name"])
            if other := _other_owner(existing, desired):
                raise NameConflictError(
                    f"{kind.name} {metadata['name']} belongs to {other['kind']} {other['name']}. If that target was "
                    "just deleted and recreated, the garbage collector deletes the old object; otherwise "
                    "rename the pool, or recreate this target under another name"
                ) from error
            if not _belongs_to_target(existing, desired):
                raise NameConflictError(
                    f"{kind.name} {metadata['name']} exists and does not belong to Metricat. Delete it "
                    "if it is not needed; otherwise recreate this target under another name"
                ) from error
            desired = _with_version(desired, existing["metadata"]["resourceVersion"])
            written = await self._client.apply(kind, desired, force=True)
        log.info("applied", kind=kind.name, name=metadata["name"])
        return written

    async def _update(self, kind: Kind, desired: Manifest, live: Manifest) -> Manifest | None:
        """Write the differences. Read the object again if another client changed it between our read and our write."""
        metadata = live["metadata"]
        for tries in range(1, _MAX_CONFLICTS + 1):
            try:
                return await self._update_once(kind, desired, live)
            except ApiError as error:
                if error.status not in {409, 422} or tries == _MAX_CONFLICTS:
                    raise
                live = await self._client.get(kind, metadata["namespace"], metadata["name"])
        return None

    async def _update_once(self, kind: Kind, desired: Manifest, live: Manifest) -> Manifest | None:
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
            log.info("updated", kind=kind.name, name=metadata["name"], removed=[str(path) for path in found.remove])
        return written


def _status_manifest(target: Manifest, status: Manifest) -> Manifest:
    metadata = target["metadata"]
    return {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "status": status,
    }


def _with_version(manifest: Manifest, version: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": version}}


def _other_owner(existing: Manifest, desired: Manifest) -> Manifest | None:
    """Return another controller owner of the object: pools of two targets may lead to children of one name."""
    mine = desired["metadata"]["ownerReferences"][0]["uid"]
    owners = existing["metadata"].get("ownerReferences", [])
    return next((one for one in owners if one.get("controller") and one["uid"] != mine), None)


def _belongs_to_target(existing: Manifest, desired: Manifest) -> bool:
    """Return whether the target owns the object or we applied it: a client may have removed the owner reference."""
    metadata = existing["metadata"]
    owners = {owner["uid"] for owner in metadata.get("ownerReferences", [])}
    return desired["metadata"]["ownerReferences"][0]["uid"] in owners or any(
        entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        for entry in metadata.get("managedFields", [])
    )


def _admission_mutation(desired: Manifest, written: Manifest) -> ChildError | None:
    """Return the error for a field that the response to our write shows changed, by an admission webhook or policy."""
    if not (field := first_difference(desired, written)):
        return None
    kind, name = desired["kind"], desired["metadata"]["name"]
    message = (
        f"{field} is changed on every write, most likely by an admission webhook or policy. Exclude objects labelled "
        f"{naming.MANAGED} from it, or set the field in the target to the value that it enforces"
    )
    return ChildError(kind, name, Reason.MUTATED_BY_ADMISSION, message, temporary=True)


def _child_error(error: ApiError, kind: Kind, name: str) -> ChildError:
    if "because it is being terminated" in str(error):
        return ChildError(kind.name, name, Reason.NAMESPACE_TERMINATING, str(error))
    if error.status == 404 and kind.optional:
        return ChildError(kind.name, name, Reason.NOT_SERVED, str(error))
    return ChildError(kind.name, name, error.reason, str(error), error.temporary, error.retry_after)
