"""The DaemonSet that runs an agent on every node of a pool."""

import json
from collections.abc import Iterator, Mapping

from metricat_operator import naming
from metricat_operator.api import collector_flags
from metricat_operator.api.agent import AgentSettings, ResourceAmounts
from metricat_operator.api.collectors import ProbeCollector
from metricat_operator.api.pools import Pool
from metricat_operator.api.probes import RESERVED_NAME
from metricat_operator.api.selectors import Requirement, terms
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests import probe_secrets, web
from metricat_operator.manifests.context import Context

_NOBODY = 65534

_ROOT = "/host/root"
"""The node's root directory in the pod."""

_HOST_PATHS = {
    # Volume: (path on the node, path in the pod, whether later mounts of the node reach the pod)
    "proc": ("/proc", "/host/proc", False),
    "sys": ("/sys", "/host/sys", False),
    "root": ("/", _ROOT, True),
}


_REAL = (
    Requirement("eks.amazonaws.com/compute-type", "NotIn", ("fargate",)),
    Requirement("type", "NotIn", ("virtual-kubelet",)),
)
"""Excludes virtual nodes: they run no DaemonSets, so a pod for one would stay pending."""


def daemon_set(context: Context, pool: Pool) -> Manifest:
    """Return the DaemonSet of a pool. Agents run as nobody, without capabilities, credentials and host namespaces."""
    agent = pool.agent
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": context.metadata(
            "agent", name=naming.pool_child(context.name, pool.name), labels={naming.LABEL_POOL: pool.name}
        ),
        "spec": {
            "selector": {"matchLabels": naming.pool_selector(context.name, pool.name)},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": agent.update_strategy.max_unavailable},
            },
            "template": {
                "metadata": {"labels": naming.pod_labels(context.name, pool.name)},
                "spec": _pod_spec(context, pool),
            },
        },
    }


_NOWHERE = (Requirement("kubernetes.io/os", "Exists"), Requirement("kubernetes.io/os", "DoesNotExist"))
"""Matches no node: all nodes of the pool belong to older targets. The API server rejects an empty list of terms."""

_ALONE = {
    "requiredDuringSchedulingIgnoredDuringExecution": [
        {
            "labelSelector": {"matchLabels": naming.AGENTS},
            "namespaceSelector": {},
            "topologyKey": "kubernetes.io/hostname",
        }
    ]
}
"""At most one agent per node: while a node moves to another target, the new agent waits, also without the operator."""


def _affinity(pool: Pool) -> Manifest:
    """Return the affinity to the pool's nodes, one agent per node. A node that changes its labels changes its pool."""
    found = [
        {"matchExpressions": [requirement.manifest() for requirement in term]}
        for term in terms((*pool.wanted, *_REAL), pool.unwanted) or [_NOWHERE]
    ]
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": found}},
        "podAntiAffinity": _ALONE,
    }


def _pod_spec(context: Context, pool: Pool) -> Manifest:
    agent = pool.agent
    pod: Manifest = {
        "serviceAccountName": naming.child(context.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": _affinity(pool),
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NOBODY,
            "runAsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(context, agent)],
        "volumes": [
            {"name": name, "hostPath": {"path": on_node, "type": "Directory"}}
            for name, (on_node, _, _) in _HOST_PATHS.items()
        ]
        + [
            {"name": f"extra-{place}", "hostPath": {"path": mount.host_path}}
            for place, mount in enumerate(agent.extra_mounts)
        ]
        + web.volumes(agent.web)
        + probe_secrets.volumes(agent.collectors.probe),
    }
    if agent.tolerations:  # the API server drops an empty list
        pod["tolerations"] = [
            toleration.model_dump(by_alias=True, exclude_none=True, mode="json") for toleration in agent.tolerations
        ]
    if agent.priority_class_name:
        pod["priorityClassName"] = agent.priority_class_name
    if context.agent_image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in context.agent_image_pull_secrets]
    return pod


def _container(context: Context, agent: AgentSettings) -> Manifest:
    return {
        "name": naming.AGENT_CONTAINER,
        "image": context.agent_image,
        "imagePullPolicy": context.agent_image_pull_policy,
        "args": arguments(agent),
        "env": [{"name": "NODE_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}}}],
        "ports": [{"name": naming.METRICS_PORT, "containerPort": agent.port, "protocol": "TCP"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",  # the status reports the last log lines
        "readinessProbe": _probe("/-/ready", web.scheme(agent.web), period=5),
        "livenessProbe": _probe("/-/healthy", web.scheme(agent.web), period=20),
        "resources": _resources(agent),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {
                "name": name,
                "mountPath": in_pod,
                "readOnly": True,
                **({"mountPropagation": "HostToContainer"} if propagated else {}),
            }
            for name, (_, in_pod, propagated) in _HOST_PATHS.items()
        ]
        + [
            {
                "name": f"extra-{place}",
                "mountPath": mount.mount_path,
                "readOnly": True,
                "mountPropagation": "HostToContainer",
            }
            for place, mount in enumerate(agent.extra_mounts)
        ]
        + web.mounts(agent.web)
        + probe_secrets.mounts(agent.collectors.probe),
    }


def arguments(agent: AgentSettings) -> list[str]:
    """Return the agent's command line. A contract test checks that the agent accepts these flags."""
    collectors = agent.collectors
    switches = {
        "cpu": collectors.cpu,
        "loadavg": collectors.loadavg,
        "meminfo": collectors.meminfo,
        "diskstats": collectors.diskstats,
        "netdev": collectors.netdev,
        "filesystem": collectors.filesystem,
        "processes": collectors.processes,
        "probe": collectors.probe,
        "textfile": collectors.textfile,
    }
    patterns = {
        "--collector.diskstats.device-exclude": collectors.diskstats.exclude_devices,
        "--collector.diskstats.device-include": collectors.diskstats.include_devices,
        "--collector.netdev.device-exclude": collectors.netdev.exclude_devices,
        "--collector.netclass.ignored-devices": (
            None if "netclass.ignored-devices" in collectors.flags else collectors.netdev.exclude_devices
        ),
        "--collector.netdev.device-include": collectors.netdev.include_devices,
        "--collector.filesystem.mount-points-exclude": collectors.filesystem.exclude_mount_points,
        "--collector.filesystem.mount-points-include": collectors.filesystem.include_mount_points,
        "--collector.filesystem.fs-types-exclude": collectors.filesystem.exclude_fs_types,
        "--collector.filesystem.fs-types-include": collectors.filesystem.include_fs_types,
    }
    return [
        "--path.procfs=/host/proc",
        "--path.sysfs=/host/sys",
        f"--path.rootfs={_ROOT}",
        f"--web.listen-address=:{agent.port}",
        *web.arguments(agent.web),
        f"--collector.processes.top={collectors.processes.top}",
        f"--collector.processes.mask={'hash' if collectors.processes.hash_names else 'none'}",
        # Kubernetes expands $(NAME) in arguments; $$ is a literal $.
        *(f"--collector.probe.target={text.replace('$', '$$')}" for text in probe_targets(collectors.probe)),
        *(f"--no-collector.{name}" for name, collector in switches.items() if not collector.enabled),
        *(f"{flag}={pattern.replace('$', '$$')}" for flag, pattern in patterns.items() if pattern is not None),
        *(
            f"--collector.textfile.directory={_ROOT}{directory.replace('$', '$$')}"
            for directory in collectors.textfile.directories
        ),
        *collector_flags.arguments(collectors.switches, collectors.flags),
    ]


def probe_targets(probe: ProbeCollector) -> Iterator[str]:
    """Yield each target of the collector `probe` as the JSON object that the agent's flag takes."""
    if not probe.enabled:
        return
    if probe.kubernetes_api:
        yield _json({"name": RESERVED_NAME, "url": "tcp://kubernetes.default.svc:443"})
    for target in probe.targets:
        given = target.model_dump(exclude_none=True)
        for name in ("interval", "timeout"):
            if (seconds := given.pop(f"{name}_seconds", None)) is not None:
                given[name] = f"{seconds}s"
        for field, secret, setting in (("ca", target.ca, "ca_file"), ("token", target.token, "bearer_token_file")):
            if given.pop(field, None) and secret:
                given[setting] = probe_secrets.path(secret)
        yield _json({name: value for name, value in given.items() if value not in ({}, ())})


def _json(content: Mapping[str, object]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _probe(path: str, scheme: str, *, period: int) -> Manifest:
    """Return an HTTP probe. The agent requires no password and no certificate for it, because the kubelet has none."""
    return {
        "httpGet": {"path": path, "port": naming.METRICS_PORT, "scheme": scheme.upper()},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": 3,
    }


def _resources(agent: AgentSettings) -> Manifest:
    def amounts(wanted: ResourceAmounts) -> Manifest:
        return wanted.model_dump(exclude_none=True)

    named = {"requests": amounts(agent.resources.requests), "limits": amounts(agent.resources.limits)}
    return {name: value for name, value in named.items() if value}
