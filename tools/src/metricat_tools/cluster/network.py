"""A cluster's network: its own namespaces without a route to the outside, joined by a bridge in the control plane's.

A namespace exists as long as a process holds it. When the cluster's processes end for any reason, the kernel removes
the namespaces, links, routes and rules.
"""

from pathlib import Path

from metricat_tools.cluster.processes import ClusterProcesses, Namespaces

# Addresses for documentation (RFC 5737): never in use outside, and the same in every cluster.
BRIDGE = "198.51.100.1"
_PREFIX = "198.51.100"
CONTROL = "control"
MAX_NODES = 200


def node_address(number: int) -> str:
    """Return the address of the node with this number, from 1."""
    return f"{_PREFIX}.{10 + number}"


def pod_range(number: int) -> str:
    """Return the address range of a node's pods."""
    return f"10.244.{number}.0/24"


def netns_holder(owner: str) -> str:
    """Return the role of the process that holds the namespaces of the control plane or of a node."""
    return f"{owner}-namespaces"


def hold_namespaces(processes: ClusterProcesses, owner: str, pause: Path, *, mounts: bool) -> Namespaces:
    """Create a network namespace, with `mounts` also a mount namespace; return them and the process that holds them."""
    flags = ["--net", *(["--mount", "--propagation=slave"] if mounts else [])]
    pid = processes.start(netns_holder(owner), ["unshare", *flags, "--", pause])
    # The namespaces exist once `unshare` has executed the pause program.
    processes.wait(netns_holder(owner), lambda: _program(pid) == pause.name, 10)
    return Namespaces(pid, mounts=mounts)


def create_bridge(processes: ClusterProcesses, control: Namespaces) -> None:
    """Create the bridge that joins all nodes, in the control plane's namespace."""
    _ip(processes, control, "link set lo up")
    _ip(processes, control, "link add br0 type bridge")
    _ip(processes, control, f"addr add {BRIDGE}/24 dev br0")
    _ip(processes, control, "link set br0 up")
    _ip(processes, control, "route add default dev br0")
    _forward(processes, control)


def join(processes: ClusterProcesses, control: Namespaces, node: Namespaces, number: int) -> None:
    """Connect a node to the bridge, add a route to the node's pods, and let the node forward packets."""
    _ip(processes, control, f"link add p{number} type veth peer name eth0 netns {node.holder}")
    _ip(processes, control, f"link set p{number} master br0 up")
    _ip(processes, node, "link set lo up")
    _ip(processes, node, f"addr add {node_address(number)}/24 dev eth0")
    _ip(processes, node, "link set eth0 up")
    _ip(processes, node, f"route add default via {BRIDGE}")
    _ip(processes, control, f"route add {pod_range(number)} via {node_address(number)}")
    _forward(processes, node)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _ip(processes: ClusterProcesses, namespace: Namespaces, words: str) -> None:
    processes.run(["ip", *words.split()], Namespaces(namespace.holder))


def _forward(processes: ClusterProcesses, namespace: Namespaces) -> None:
    processes.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], Namespaces(namespace.holder))
