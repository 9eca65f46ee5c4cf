"""MonitoringTargets of a cluster, as their objects describe them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import NOT_FOUND
from typing import Any

from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.cluster.api_server import Object, namespaced
from metricat_cli.errors import CommandError
from metricat_cli.output import note
from metricat_operator import naming
from metricat_operator.conditions import Condition, ConditionType

INSTALL = "helm install metricat charts/metricat -n monitoring --create-namespace"
CREATE = "kubectl apply -f examples/minimal.yaml"
"""A command that creates a MonitoringTarget."""


@dataclass(frozen=True)
class ClusterTarget:
    """One MonitoringTarget of the cluster."""

    manifest: Object

    @property
    def name(self) -> str:
        """The name of the target."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """The namespace of the target."""
        return str(self.manifest["metadata"]["namespace"])

    def __str__(self) -> str:
        """Return NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"

    @property
    def created(self) -> str:
        """The time at which the target was created (RFC 3339)."""
        return str(self.manifest["metadata"].get("creationTimestamp", ""))

    @property
    def deleted(self) -> str:
        """The time at which the deletion was requested (RFC 3339); empty if the target is not being deleted."""
        return str(self.manifest["metadata"].get("deletionTimestamp", ""))

    @property
    def finalizers(self) -> list[str]:
        """The finalizers without which the API server does not remove the target."""
        return [str(one) for one in self.manifest["metadata"].get("finalizers") or []]

    @property
    def deletion(self) -> str:
        """The sentences that the target is being deleted, and what it waits for; empty if it is not being deleted."""
        if not self.deleted:
            return ""
        waits = f" It waits for the finalizer {', '.join(self.finalizers)}." if self.finalizers else ""
        return f"The MonitoringTarget is being deleted since {self.deleted}.{waits} The operator no longer updates it."

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec of the target, as the API server returns it."""
        return self.manifest.get("spec") or {}

    @property
    def status(self) -> Mapping[str, Any]:
        """The status of the target; empty before the operator writes one."""
        return self.manifest.get("status") or {}

    @property
    def current(self) -> bool:
        """Whether the status describes the newest spec."""
        return bool(self.status.get("observedGeneration") == self.manifest["metadata"].get("generation"))

    @property
    def conditions(self) -> dict[ConditionType, Condition]:
        """The conditions of the status that Metricat owns."""
        found = map(Condition.parse, self.status.get("conditions") or [])
        return {one.type: one for one in found if one}

    def holds(self, kind: ConditionType) -> str:
        """Return the status of a condition: True, False or Unknown (also if the target does not have the condition)."""
        condition = self.conditions.get(kind)
        return condition.status if condition else "Unknown"

    @property
    def scheme(self) -> str:
        """The URL scheme of the agents: http or https."""
        web = (self.spec.get("agent") or {}).get("web") or {}
        return "https" if web.get("tlsSecretName") else "http"


def find(api: ApiServer, namespace: str = "", name: str = "") -> list[ClusterTarget]:
    """Return the MonitoringTargets of a namespace (empty: of all), sorted by namespace and name.

    A name selects the targets with this name.

    Raises:
        CommandError: the cluster does not serve MonitoringTargets, or the namespace has no target with this name.
    """
    path = namespaced(naming.API_VERSION, naming.PLURAL, namespace, name if namespace else "")
    try:
        found = [api.object(path)] if name and namespace else api.list(path)
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise
        if name and installed(api):
            raise _missing(api, namespace, name) from error
        raise not_installed(api) from error
    targets = sorted(map(ClusterTarget, found), key=lambda one: (one.namespace, one.name))
    chosen = [one for one in targets if not name or one.name == name]
    if name and not chosen:
        raise _missing(api, namespace, name)
    return chosen


def note_deletions(found: Iterable[ClusterTarget]) -> None:
    """Print a note about each target that is being deleted."""
    for target in found:
        if target.deleted:
            note(f"{target}: {target.deletion} Run: metricat status {target.name} -n {target.namespace}")


def none_found(namespace: str = "") -> str:
    """Return the sentence that no MonitoringTarget exists in a namespace (empty: in any)."""
    if namespace:
        return f"The namespace {namespace} has no MonitoringTarget."
    return "No MonitoringTarget exists, so no node is monitored."


def installed(api: ApiServer) -> bool:
    """Return whether the API server serves the kind MonitoringTarget."""
    try:
        resources = api.get(f"/apis/{naming.API_VERSION}").get("resources") or []
    except ApiError as error:
        if error.code != NOT_FOUND:
            raise
        return False
    return any(one.get("name") == naming.PLURAL for one in resources if isinstance(one, dict))


def not_installed(api: ApiServer) -> CommandError:
    """Return the error for a cluster that does not serve the kind in the version of this command line.

    Raises:
        ApiError: the server is not a Kubernetes API server.
    """
    groups = [one for one in api.get("/apis").get("groups") or [] if isinstance(one, dict)]
    served = [str(each["version"]) for one in groups if one.get("name") == naming.GROUP for each in one["versions"]]
    if served and naming.VERSION not in served:
        return CommandError(
            f"the cluster serves {naming.GROUP} as {', '.join(served)}, and this command line uses {naming.VERSION}. "
            "Install the metricat-cli of the operator's version"
        )
    return CommandError(f"Metricat is not installed in this cluster. Run: {INSTALL}")


def _missing(api: ApiServer, namespace: str, name: str) -> CommandError:
    """Return the error for a target that does not exist, with the nearest name that does."""
    try:
        known = find(api)
    except CommandError:  # the user may not read other namespaces
        known = []
    hint = "See: kubectl get mtarget -A"
    if elsewhere := [one.namespace for one in known if one.name == name]:
        hint = f"It exists in the namespace {elsewhere[0]}. Set: -n {elsewhere[0]}"
    elif near := get_close_matches(name, [one.name for one in known if namespace in ("", one.namespace)], 1):
        hint = f"Did you mean {near[0]}?"
    return CommandError(f"the {naming.KIND} {namespace + '/' if namespace else ''}{name} does not exist. {hint}")
