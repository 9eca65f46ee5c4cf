"""Set up the demo on its own cluster, or on the cluster of the current kubeconfig context."""

import tomllib
from pathlib import Path

from metricat_tools import images
from metricat_tools.binaries import ensure
from metricat_tools.cluster import cleanup, node_cluster
from metricat_tools.cluster.node_cluster import NodeCluster
from metricat_tools.cluster.state import State, names
from metricat_tools.demo import page, preflight
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.demo.steps import Steps
from metricat_tools.errors import ToolError
from metricat_tools.images import StoredImage
from metricat_tools.images.product import CHECKOUT
from metricat_tools.images.registry import under
from metricat_tools.stack import Kubectl
from metricat_tools.stack.kubectl import KubectlError

PROGRAMS = ("kubectl", "helm")
IMAGES = ("operator", "agent")


def own_cluster(name: str, steps: Steps, nodes: int = 2, *, hub: bool = False) -> tuple[NodeCluster, DemoCluster]:
    """Set up the demo on its own cluster with this name. A running cluster is used if it is healthy."""
    preflight.check()
    targets = (*IMAGES, *(["hub"] if hub else []))
    with steps.step("binaries: Kubernetes, containerd, kubectl, helm"):
        ensure(*PROGRAMS, *node_cluster.PROGRAMS)
    with steps.step("images: Metricat, Prometheus Operator, Prometheus, Alertmanager"):
        built = images.ensure_images(*targets, images.STACK)
    if cluster := running(name, nodes):
        steps.line(f"cluster `{name}` of {nodes} nodes", "already running")
    else:
        with steps.step(f"cluster `{name}` of {nodes} nodes"):
            cluster = NodeCluster.up(name, nodes=nodes)
    with steps.step("images onto the nodes"):
        cluster.load_image(*(one.archive for one in built.values() if not _everywhere(cluster, one)))
    demo = DemoCluster(Kubectl(cluster.kubeconfig), {target: built[target].exact for target in targets})
    install_all(demo, steps)
    return cluster, demo


def current_cluster(registry: str, steps: Steps) -> DemoCluster:
    """Set up the demo on the user's cluster. The images of Metricat must already be in the registry or on the nodes."""
    kubectl = Kubectl()
    try:
        context = kubectl.run("config", "current-context").strip()
        kubectl.run("get", "--raw", "/readyz", "--request-timeout=10s")
    except KubectlError as error:
        raise ToolError(
            f"the cluster of the current kubeconfig context does not respond. Set KUBECONFIG ({error})"
        ) from error
    steps.line("cluster of the current context", context)
    demo = DemoCluster(kubectl, {target: _released(target, registry) for target in (*IMAGES, "hub")})
    install_all(demo, steps)
    return demo


def install_all(demo: DemoCluster, steps: Steps) -> None:
    """Install the stack, Metricat and the target. Existing objects stay."""
    for label, action in (
        ("Prometheus Operator, a Prometheus, an Alertmanager", demo.install_stack),
        ("Metricat: helm install", demo.install_metricat),
        ("one MonitoringTarget: a ready agent on every node", demo.apply_target),
        ("Prometheus scrapes every agent", demo.wait_scraped),
        ("the target's condition Monitored is true", demo.wait_monitored),
    ):
        with steps.step(label):
            action()
    if "hub" in demo.images:
        with steps.step("the hub and its page"):
            page.wait_ready(demo)


def running(name: str, nodes: int) -> NodeCluster | None:
    """Return the cluster with this name if it runs, is healthy and has this number of nodes."""
    try:
        cluster = NodeCluster.find(name)
    except ToolError:
        return None
    if (
        cluster.control_plane.api.ready()
        and all(node.ready() for node in cluster.nodes)
        and len(cluster.nodes) == nodes
    ):
        return cluster
    cluster.control_plane.detach()
    return None


def stop(name: str) -> None:
    """Remove the demo's own cluster, running or crashed.

    Raises:
        ToolError: the cluster does not exist.
    """
    if name not in names():
        raise ToolError(f"cluster `{name}` does not exist. There is nothing to stop")
    remove(name)


def remove(name: str) -> None:
    """Remove the demo's own cluster with this name, running or crashed, if it exists."""
    state = State(name)
    with state.locked():
        cleanup.remove(state)


def _everywhere(cluster: NodeCluster, image: StoredImage) -> bool:
    return all(image.exact in node.ctr("images", "list", "--quiet").split() for node in cluster.nodes)


def _released(target: str, registry: str) -> str:
    version = tomllib.loads(Path(CHECKOUT, target, "pyproject.toml").read_text())["project"]["version"]
    name = f"docker.io/metricat/{target}:{version}"
    return under(registry, name) if registry else name
