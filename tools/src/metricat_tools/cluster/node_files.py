"""The configuration files of a node's programs. Pure: reads no file and starts no process."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metricat_tools.cluster import dns, network

CNI_PLUGINS = ("ptp", "host-local", "loopback", "portmap")
SANDBOX = "registry.k8s.io/pause:3.10.1"
_TEMPLATE = """\
version = 3
root = "{folder}/containerd"
state = "{folder}/run"
# These plugins listen or write outside the node's folder and are not needed.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
  address = "{folder}/containerd.sock"
[ttrpc]
  address = "{folder}/containerd.sock.ttrpc"
[debug]
  level = "warn"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{sandbox}"

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = {restrict}
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{plugins}"]
  conf_dir = "{folder}/cni"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  runtime_path = "{shim}"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
  SystemdCgroup = false
"""


def containerd(folder: Path, programs: Mapping[str, Path], *, restrict_oom_score: bool) -> str:
    """Return containerd's configuration. containerd writes only into the node's folder."""
    return _TEMPLATE.format(
        folder=folder,
        sandbox=SANDBOX,
        # Without CAP_SYS_RESOURCE, a process cannot lower its score, and every sandbox would fail.
        restrict="true" if restrict_oom_score else "false",
        plugins=programs["ptp"].parent,
        shim=programs["containerd-shim-runc-v2"],
        runc=programs["runc"],
    )


def cni(folder: Path, number: int) -> dict[str, Any]:
    """Return the CNI configuration: each pod has its own routed link, so a Service also reaches pods of its node."""
    ipam = {
        "type": "host-local",
        "dataDir": f"{folder}/ipam",
        "ranges": [[{"subnet": network.pod_range(number)}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [
        {"type": "ptp", "ipMasq": False, "ipam": ipam},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}


def kubelet(folder: Path, group: str, authority: Path, certificate: Path, key: Path) -> dict[str, Any]:
    """Return kubelet's configuration. kubelet creates the control groups of its pods below `group`."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "protectKernelDefaults": True,
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "clusterDNS": [network.BRIDGE],
        "clusterDomain": dns.ZONE,
        "resolvConf": f"{folder}/resolv.conf",
        "podLogsDir": f"{folder}/pod-logs",
        "volumePluginDir": f"{folder}/volume-plugins",
        "nodeStatusUpdateFrequency": "4s",
        # Default: 1 minute. Changed Secrets reach a pod at its next sync, as Prometheus' configuration does.
        "syncFrequency": "5s",
        "serializeImagePulls": False,
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(authority)},
        },
        "authorization": {"mode": "Webhook"},
    }


def kube_proxy(node: str, kubeconfig: Path) -> dict[str, Any]:
    """Return kube-proxy's configuration. kube-proxy leaves the machine's limits of connection tracking unchanged."""
    unchanged = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node,
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": unchanged,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
    }
