"""Where the demo is set: on a cluster of our own, or on the one that the current kubeconfig context names."""

import tomllib
from pathlib import Path

from metricat_tools import images
from metricat_tools.binaries import ensure
from metricat_tools.cluster import cleanup, node_cluster
from metricat_tools.cluster.node_cluster import NodeCluster
from metricat_tools.cluster.state import State, names
from metricat_tools.demo import preflight
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.demo.steps import Steps
from metricat_tools.errors import ToolError
from metricat_tools.images import StoredImage
from metricat_tools.images.product import CHECKOUT, TARGETS
from metricat_tools.images.registry import under
from metricat_tools.stack import Kubectl
from metricat_tools.stack.kubectl import KubectlError

PROGRAMS = ("kubectl", "helm")


def own_cluster(name: str, steps: Steps, nodes: int = 2) -> tuple[NodeCluster, DemoCluster]:
    """Set the demo on our own cluster of this name, taking the one that runs already where it is healthy."""
    preflight.check()
    with steps.step("programs: Kubernetes, containerd, kubectl, helm"):
        ensure(*PROGRAMS, *node_cluster.PROGRAMS)
    with steps.step("images: Metricat, Prometheus Operator, Prometheus, Alertmanager"):
        built = images.ensure_images(*TARGETS, images.STACK)
    if cluster := running(name, nodes):
        steps.line(f"cluster `{name}` of {nodes} nodes", "runs already")
    else:
        with steps.step(f"cluster `{name}` of {nodes} nodes"):
            cluster = NodeCluster.up(name, nodes=nodes)
    with steps.step("images onto the nodes"):
        cluster.load_image(*(one.archive for one in built.values() if not _everywhere(cluster, one)))
    demo = DemoCluster(Kubectl(cluster.kubeconfig), {target: built[target].exact for target in TARGETS})
    install_all(demo, steps)
    return cluster, demo


def current_cluster(registry: str, steps: Steps) -> DemoCluster:
    """Set the demo on somebody's cluster; images come from the registry, or are on its nodes already."""
    kubectl = Kubectl()
    try:
        context = kubectl.run("config", "current-context").strip()
        kubectl.run("get", "--raw", "/readyz", "--request-timeout=10s")
    except KubectlError as error:
        raise ToolError(f"no cluster answers in the current kubeconfig context: set KUBECONFIG ({error})") from error
    steps.line("cluster of the current context", context)
    demo = DemoCluster(kubectl, {target: _released(target, registry) for target in TARGETS})
    install_all(demo, steps)
    return demo


def install_all(demo: DemoCluster, steps: Steps) -> None:
    """Install the stack, Metricat and the target; whatever is there already stays."""
    for label, act in (
        ("Prometheus Operator, a Prometheus, an Alertmanager", demo.install_stack),
        ("Metricat: helm install", demo.install_metricat),
        ("one MonitoringTarget: an agent ready on every node", demo.apply_target),
        ("Prometheus scrapes every agent", demo.wait_scraped),
        ("Monitored: the target says that it works", demo.wait_monitored),
    ):
        with steps.step(label):
            act()


def running(name: str, nodes: int) -> NodeCluster | None:
    """The cluster of this name, if it runs with so many nodes and is in good health."""
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
    """Take our own cluster down, running or crashed; an error where there is none."""
    if name not in names():
        raise ToolError(f"there is no cluster `{name}`: nothing is to be stopped")
    remove(name)


def remove(name: str) -> None:
    """Remove whatever there is of our own cluster of this name, running or crashed."""
    state = State(name)
    with state.locked():
        cleanup.remove(state)


def _everywhere(cluster: NodeCluster, image: StoredImage) -> bool:
    return all(image.exact in node.ctr("images", "list", "--quiet").split() for node in cluster.nodes)


def _released(target: str, registry: str) -> str:
    version = tomllib.loads(Path(CHECKOUT, target, "pyproject.toml").read_text())["project"]["version"]
    name = f"docker.io/metricat/{target}:{version}"
    return under(registry, name) if registry else name
