"""Simulated nodes: kwok acts as the kubelet of nodes and pods that exist only in the API."""

import datetime as dt
import time
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.binaries import ensure, module_dir
from metricat_tools.cluster.api import Api

ANNOTATION = "kwok.x-k8s.io/node"
BROKEN = "broken-"
"""Prefix of simulated nodes on which no image can be pulled."""
_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
_INFO = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "kwok",
    "kernelVersion": "kwok",
    "kubeProxyVersion": "",
    "kubeletVersion": "kwok",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "",
    "systemUUID": "",
}
_OPTIONS = {
    "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
    "kind": "KwokConfiguration",
    "options": {
        "nodePlayStageParallelism": 16,
        "podPlayStageParallelism": 16,
        "nodeLeaseParallelism": 16,
        "podsOnNodeSyncParallelism": 16,
    },
}
_ON_BROKEN = f'.spec.nodeName | startswith("{BROKEN}") | tostring'
_PARALLEL = 8


def kwok(folder: Path, kubeconfig: Path, lease: int) -> list[str | Path]:
    """Write kwok's stages into the cluster's folder and return its command. A Lease lasts `lease` seconds."""
    config = folder / "kwok.yaml"
    config.write_text(
        yaml.safe_dump_all([_OPTIONS, *stages(module_dir("kwok", "sigs.k8s.io/kwok") / "kustomize" / "stage")])
    )
    return [
        ensure("kwok")["kwok"],
        f"--kubeconfig={kubeconfig}",
        f"--config={config}",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        f"--node-lease-duration-seconds={lease}",  # renewed four times as often
        "--v=WARN",
        "--cidr=10.128.0.0/10",
    ]


def stages(folder: Path) -> list[dict[str, Any]]:
    """Return kwok's own stages, changed so that pods on broken nodes wait for their image without end."""
    loaded = [yaml.safe_load((folder / name).read_text()) for name in _STAGES]
    for stage in loaded:
        if stage["metadata"]["name"] == "pod-ready":
            stage["spec"]["selector"]["matchExpressions"].append(
                {"key": _ON_BROKEN, "operator": "NotIn", "values": ["true"]}
            )
    return [*loaded, _image_pull_back_off()]


def _image_pull_back_off() -> dict[str, Any]:
    status = """
conditions:
- {type: Initialized, status: "True", lastTransitionTime: {{ Now | Quote }}}
- {type: Ready, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ Now | Quote }}}
- {type: ContainersReady, status: "False", reason: ContainersNotReady, lastTransitionTime: {{ Now | Quote }}}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  ready: false
  restartCount: 0
  started: false
  state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %q" .image | Quote }}
{{ end }}
phase: Pending
"""
    expressions = [
        {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
        {
            "key": ".status.containerStatuses.[].state.waiting.reason",
            "operator": "NotIn",
            "values": ["ImagePullBackOff"],
        },
        {"key": _ON_BROKEN, "operator": "In", "values": ["true"]},
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": "pod-image-pull-back-off"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": expressions},
            "next": {"statusTemplate": status},
        },
    }


def node(name: str, labels: Mapping[str, str], taints: Sequence[Mapping[str, str]], images: int = 0) -> dict[str, Any]:
    """Return a node object that is Ready immediately. kwok keeps it Ready.

    With 50 images, it is as large as a real one.
    """
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    size = {"cpu": "32", "memory": "256Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {ANNOTATION: "fake"},
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "type": "kwok",
                **labels,
            },
        },
        "spec": {"taints": [dict(taint) for taint in taints]},
        "status": {
            "phase": "Running",
            "allocatable": size,
            "capacity": size,
            "addresses": [{"type": "InternalIP", "address": address(name)}, {"type": "Hostname", "address": name}],
            "conditions": [
                {
                    "type": kind,
                    "status": str(kind == "Ready"),
                    "reason": "Simulated",
                    "message": "kwok acts as this node's kubelet",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
                for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
            ],
            "nodeInfo": _INFO,
            "images": [_image(number) for number in range(images)],
        },
    }


def _image(number: int) -> dict[str, Any]:
    """Return an entry of a node's image list as a kubelet reports it, about 400 bytes."""
    name = f"registry.example.com/a-team-of-some-size/a-service-with-a-name-{number:03}"
    return {"names": [f"{name}@sha256:{number:064x}", f"{name}:v1.2.{number}"], "sizeBytes": 200_000_000 + number}


def address(name: str) -> str:
    """Return a node's address from the range for benchmarks (RFC 2544), derived from its name."""
    digest = zlib.crc32(name.encode())
    return f"198.{18 + (digest >> 16 & 1)}.{digest >> 8 & 255}.{digest & 255}"


def create(
    api: Api,
    names: int | Sequence[str],
    labels: Mapping[str, str],
    taints: Sequence[Mapping[str, str]],
    images: int = 0,
) -> list[str]:
    """Create nodes with these names, or this number of nodes with unused names: sim-0001, sim-0002, ..."""
    chosen = list(names) if not isinstance(names, int) else free_names(names, _names(api))
    pool = ThreadPoolExecutor(_PARALLEL)
    try:
        list(pool.map(lambda name: api.create("/api/v1/nodes", node(name, labels, taints, images)), chosen))
    finally:  # after an interrupt, do not wait for requests: they end with the API server
        pool.shutdown(wait=False, cancel_futures=True)
    return chosen


def free_names(count: int, taken: set[str]) -> list[str]:
    """Return this number of unused names, in order."""
    free: list[str] = []
    number = 0
    while len(free) < count:
        number += 1
        if (name := f"sim-{number:04}") not in taken:
            free.append(name)
    return free


def ready(api: Api, names: Sequence[str]) -> bool:
    """Return whether all these nodes are Ready, after a delay in proportion to their number: listing is expensive."""
    time.sleep(0.002 * len(names))
    items = api.get("/api/v1/nodes?resourceVersion=0")["items"]
    up = {item["metadata"]["name"] for item in items if _schedulable(item)}
    return up.issuperset(names)


def _schedulable(item: Mapping[str, Any]) -> bool:
    """Return whether the node is Ready and a controller has removed the taint of new nodes."""
    conditions = {one["type"]: one["status"] for one in item["status"].get("conditions", ())}
    taints = {one["key"] for one in item["spec"].get("taints", ())}
    return conditions.get("Ready") == "True" and "node.kubernetes.io/not-ready" not in taints


def _names(api: Api) -> set[str]:
    return {item["metadata"]["name"] for item in api.get("/api/v1/nodes")["items"]}
