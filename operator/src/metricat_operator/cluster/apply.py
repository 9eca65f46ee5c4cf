"""Brings children to what they should be, writing only where they differ."""

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.facts import Observer
from metricat_operator.cluster.kinds import BY_NAME, TARGET, Kind
from metricat_operator.drift import drift, replacement
from metricat_operator.observed import Manifest, ObjectKey, Trouble

log = structlog.get_logger(__name__)


class TemporaryTroubleError(Exception):
    """Some writes failed in a way that may pass; the reconcile is to be tried again."""


class Applier:
    """Writes children and status; what a write returns goes into the caches, ahead of their watches."""

    def __init__(self, client: Client, observer: Observer) -> None:
        self._client = client
        self._observer = observer

    async def apply(self, desired: Manifest, live: Manifest | None) -> Trouble | None:
        """Create or mend one child. A failure of one kind is told, and must not stop the others.

        Raises:
            TemporaryTroubleError: the API server could not be asked, or asks to wait.
        """
        kind = BY_NAME[desired["kind"]]
        name = desired["metadata"]["name"]
        try:
            written = await (self._mend(kind, desired, live) if live else self._create(kind, desired))
        except NameTakenError as error:
            return Trouble(kind.name, name, "NameTaken", str(error))
        except ApiError as error:
            if error.status == 404:
                self._observer.children[kind.name].doubt()
            return _trouble(error, kind, name, "apply")
        if written is not None:
            self._observer.children[kind.name].put(written)
        return None

    async def prune(self, key: ObjectKey, live: Manifest) -> Trouble | None:
        """Delete a child that is no longer wanted.

        Raises:
            TemporaryTroubleError: as `apply`.
        """
        kind, metadata = BY_NAME[key.kind], live["metadata"]
        if "deletionTimestamp" in metadata:
            return None
        try:
            await self._client.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        except ApiError as error:
            return _trouble(error, kind, key.name, "delete")
        log.info("pruned", kind=kind.name, name=key.name)
        return None

    async def write_status(self, target: Manifest, status: Manifest) -> Manifest | None:
        """Replace the status; nothing where the target is gone.

        Raises:
            TemporaryTroubleError: as `apply`.
        """
        metadata = target["metadata"]
        manifest = {
            "apiVersion": target["apiVersion"],
            "kind": target["kind"],
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
            "status": status,
        }
        try:
            return await self._client.apply(TARGET, manifest, force=True, subresource="status")
        except ApiError as error:
            if error.status in {404, 409}:  # gone, or another one of this name: its own event is on the way
                return None
            raise TemporaryTroubleError(f"cannot write the status: {error}") from error

    async def _create(self, kind: Kind, desired: Manifest) -> Manifest:
        """Apply without force, so that an object that somebody else made under this name is not taken over."""
        metadata = desired["metadata"]
        try:
            written = await self._client.apply(kind, desired, force=False)
        except ApiError as error:
            if error.status != 409:
                raise
            there = await self._client.get(kind, metadata["namespace"], metadata["name"])
            wanted = metadata["ownerReferences"][0]["uid"]
            if all(owner["uid"] != wanted for owner in there["metadata"].get("ownerReferences", [])):
                raise NameTakenError(
                    f"{kind.name} {metadata['name']} exists and is not Metricat's; rename or delete it"
                ) from error
            written = await self._client.apply(kind, desired, force=True)
        log.info("applied", kind=kind.name, name=metadata["name"])
        return written

    async def _mend(self, kind: Kind, desired: Manifest, live: Manifest) -> Manifest | None:
        metadata = live["metadata"]
        written = None
        found = drift(desired, live)
        if found.apply:
            try:
                written = await self._client.apply(kind, desired, force=True)
            except ApiError as error:
                if error.status != 422 or not found.remove:
                    raise
                operations = replacement(desired, live)
                await self._client.patch(kind, metadata["namespace"], metadata["name"], operations)
                written = await self._client.apply(kind, desired, force=True)
            found = drift(desired, written)
        if found.remove:
            operations = found.patch((written or live)["metadata"]["resourceVersion"])
            written = await self._client.patch(kind, metadata["namespace"], metadata["name"], operations)
        if written is not None:
            log.info("mended", kind=kind.name, name=metadata["name"], removed=[str(path) for path in found.remove])
        return written


class NameTakenError(Exception):
    """An object of that name is somebody else's."""


def _trouble(error: ApiError, kind: Kind, name: str, verb: str) -> Trouble:
    if error.reason == "NamespaceTerminating" or "because it is being terminated" in str(error):
        return Trouble(kind.name, name, "NamespaceTerminating", str(error))
    if error.temporary:
        raise TemporaryTroubleError(f"cannot {verb} {kind.name} {name}: {error}") from error
    if error.status == 404 and kind.optional:
        return Trouble(kind.name, name, "NotServed", str(error))
    return Trouble(kind.name, name, error.reason, str(error))
