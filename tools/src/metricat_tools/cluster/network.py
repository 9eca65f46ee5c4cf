"""A cluster's network: namespaces of its own with no way out, joined by a switch in the control plane's.

A namespace lives as long as a process that holds it: when the cluster's processes end, however they end, the
namespaces, links, routes and rules are gone with them.
"""

from pathlib import Path

from metricat_tools.cluster.processes import Namespaces, Processes, run

# Addresses for documentation (RFC 5737): never in use outside, and the same inside of every cluster.
SWITCH = "198.51.100.1"
_PREFIX = "198.51.100"
CONTROL = "control"
MAX_NODES = 200


def node_address(number: int) -> str:
    """The address of the node with this number, from 1."""
    return f"{_PREFIX}.{10 + number}"


def pod_range(number: int) -> str:
    """The addresses of a node's pods."""
    return f"10.244.{number}.0/24"


def holder(owner: str) -> str:
    """The role of the process that holds the namespaces of the control plane or of a node."""
    return f"{owner}-namespaces"


def hold(processes: Processes, owner: str, pause: Path, *, mounts: bool) -> Namespaces:
    """Make namespaces and a process that holds them."""
    flags = ["--net", *(["--mount", "--propagation=slave"] if mounts else [])]
    pid = processes.start(holder(owner), ["unshare", *flags, "--", pause])
    # The namespaces are made when the program that makes them has become the one that waits.
    processes.wait(holder(owner), lambda: _program(pid) == pause.name, 10)
    return Namespaces(pid, mounts=mounts)


def switch(control: Namespaces) -> None:
    """The control plane's namespace: a bridge that all nodes hang on."""
    _ip(control, "link set lo up")
    _ip(control, "link add br0 type bridge")
    _ip(control, f"addr add {SWITCH}/24 dev br0")
    _ip(control, "link set br0 up")
    _ip(control, "route add default dev br0")
    _forward(control)


def join(control: Namespaces, node: Namespaces, number: int) -> None:
    """Hang a node on the switch, and teach the control plane the way to its pods."""
    _ip(control, f"link add p{number} type veth peer name eth0 netns {node.holder}")
    _ip(control, f"link set p{number} master br0 up")
    _ip(node, "link set lo up")
    _ip(node, f"addr add {node_address(number)}/24 dev eth0")
    _ip(node, "link set eth0 up")
    _ip(node, f"route add default via {SWITCH}")
    _ip(control, f"route add {pod_range(number)} via {node_address(number)}")
    _forward(node)


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _ip(namespace: Namespaces, words: str) -> None:
    run(["ip", *words.split()], Namespaces(namespace.holder))


def _forward(namespace: Namespaces) -> None:
    run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], Namespaces(namespace.holder))
