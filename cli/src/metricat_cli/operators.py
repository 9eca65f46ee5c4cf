"""The operators of a cluster: their Deployments, pods and Leases."""

from dataclasses import dataclass
from http.client import FORBIDDEN

from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.cluster.api_server import Object, namespaced
from metricat_cli.output import parse_time

LABEL = "app.kubernetes.io/name=metricat-operator"
_LEASE_SECONDS = 15.0


@dataclass(frozen=True)
class InstalledOperator:
    """The Deployment of one operator."""

    manifest: Object

    @property
    def namespace(self) -> str:
        """The namespace of the Deployment."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The name of the Deployment, which is also the name of the Lease."""
        return str(self.manifest["metadata"]["name"])

    def __str__(self) -> str:
        """Return NAMESPACE/NAME."""
        return f"{self.namespace}/{self.name}"

    @property
    def version(self) -> str:
        """The version of the operator, from a label of its Deployment."""
        return str((self.manifest["metadata"].get("labels") or {}).get("app.kubernetes.io/version", "unknown"))

    @property
    def replicas(self) -> int:
        """The number of pods that the Deployment should have."""
        return int(self.manifest["spec"].get("replicas", 1))

    @property
    def available(self) -> int:
        """The number of pods that are ready."""
        return int((self.manifest.get("status") or {}).get("availableReplicas", 0))

    @property
    def selector(self) -> str:
        """The label selector of the operator's pods."""
        labels = self.manifest["spec"]["selector"].get("matchLabels") or {}
        return ",".join(f"{key}={value}" for key, value in labels.items())


def find(api: ApiServer, namespace: str = "") -> list[InstalledOperator]:
    """Return the operators of a namespace (empty: of all namespaces), sorted by namespace and name."""
    found = [InstalledOperator(one) for one in api.list(namespaced("apps/v1", "deployments", namespace), LABEL)]
    return sorted(found, key=str)


def leader(api: ApiServer, operator: str) -> tuple[str, float] | None:
    """Return the holder of an operator's Lease NAMESPACE/NAME, and the seconds since the Lease expired.

    The seconds are negative while the Lease is valid. The result is None if the Lease has no holder.
    """
    namespace, _, name = operator.partition("/")
    lease = api.find(namespaced("coordination.k8s.io/v1", "leases", namespace, name))
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity"):
        return None
    expires = parse_time(spec.get("renewTime", "")) + float(spec.get("leaseDurationSeconds") or _LEASE_SECONDS)
    return str(spec["holderIdentity"]), api.time - expires


def runs(api: ApiServer, operator: str) -> bool | str:
    """Return whether a pod of the operator NAMESPACE/NAME leads, or the error if the user may not read its Lease."""
    try:
        found = leader(api, operator)
    except ApiError as error:
        if error.code != FORBIDDEN:
            raise
        return str(error)
    return found is not None and found[1] <= 0


def pod_problem(pod: Object) -> str:
    """Return the reason why a pod is not ready, from its status; empty if it is ready."""
    status = pod.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    if (conditions.get("Ready") or {}).get("status") == "True":
        return ""
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        cause = state.get("waiting") or state.get("terminated")
        if cause:
            return " ".join(f"{cause.get('reason', 'Waiting')}: {cause.get('message', '')}".strip(": ").split())
    for kind in ("PodScheduled", "ContainersReady", "Ready"):
        condition = conditions.get(kind) or {}
        if condition.get("status") == "False":
            return " ".join(f"{condition.get('reason', kind)}: {condition.get('message', '')}".strip(": ").split())
    return str(status.get("phase", "Pending"))
