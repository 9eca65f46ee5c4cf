"""The names of pods by UID and of containers by ID, as the agents and the alerts report them."""

from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.cluster.api_server import namespaced


def read(api: ApiServer) -> tuple[dict[str, str], str]:
    """Return the names of pods by UID and of containers by ID; if the pods cannot be listed, none and the reason."""
    try:
        pods = api.list(namespaced("v1", "pods"))
    except ApiError as error:
        return {}, f"Pods are shown by UID: {error}."
    names = {}
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        annotations = metadata.get("annotations") or {}
        name = f"{metadata['namespace']}/{metadata['name']}"
        names[metadata["uid"]] = name
        # The cgroup of a static pod has the hash of its file.
        names[annotations.get("kubernetes.io/config.hash", metadata["uid"])] = name
        for one in [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]:
            names[str(one.get("containerID", "")).rpartition("/")[2]] = one["name"]
    return names, ""
