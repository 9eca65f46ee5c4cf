"""CPU load: a pod that keeps every core of one node busy for a limited time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Kubectl

POD = "cpu-load"
SECONDS = 240
# One process per core. The time limit inside applies even if no process deletes the pod.
_BURN = f"""\
import os, time
end = time.monotonic() + {SECONDS}
for _ in range(os.cpu_count() - 1):
    if os.fork() == 0:
        break
while time.monotonic() < end:
    pass
"""


@contextmanager
def cpu_load(kubectl: Kubectl, image: str, node: str) -> Iterator[None]:
    """Keep the node's cores busy inside the context. The image must have Python and be on the node."""
    kubectl.apply(json.dumps(pod(image, node)))
    try:
        yield
    finally:
        kubectl.run("delete", "pod", POD, "--namespace", NAMESPACE, "--ignore-not-found", "--grace-period=1")


def pod(image: str, node: str) -> dict[str, object]:
    """Return the pod of the load. It has few CPU shares, so it uses idle CPU time and yields to other processes."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE},
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": SECONDS,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "burn",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-c", _BURN],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
