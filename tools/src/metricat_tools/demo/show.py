"""What the demo shows to a person."""

import shutil
import time
from collections.abc import Callable, Iterable

from metricat_tools.binaries import ensure
from metricat_tools.demo.demo_cluster import ALERT, RECORDED, DemoCluster
from metricat_tools.demo.load import cpu_load
from metricat_tools.demo.tables import table
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert, ScrapeTarget
from metricat_tools.stack.wait import until


def indented(text: str) -> str:
    """A program's output, moved two columns to the right."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def object_and_agents(demo: DemoCluster, agents: Iterable[ScrapeTarget]) -> None:
    """The MonitoringTarget as kubectl prints it, and each agent as Prometheus sees it."""
    print(f"\n$ kubectl get mtarget --namespace {NAMESPACE}")
    print(indented(demo.kubectl.run("get", "mtarget", "--namespace", NAMESPACE)))
    print("\nWhat Prometheus scrapes:")
    rows = [(one.labels["node"], one.labels["pool"], one.health, one.url) for one in agents]
    print(table(("NODE", "POOL", "HEALTH", "ADDRESS"), sorted(rows)))


def answers(demo: DemoCluster) -> None:
    """The recorded measures, a line for each node."""
    found = demo.wait_answers()
    cpu, memory, filesystem = (found[measure] for measure in RECORDED)
    rows = [
        (node, cpu[node].value, memory[node].value, fullest.value, fullest.labels["mountpoint"])
        for node, fullest in sorted(filesystem.items())
    ]
    print("\nWhat Prometheus knows of the nodes:")
    print(table(("NODE", "CPU %", "MEMORY %", "FULLEST FILE SYSTEM %", "MOUNTED ON"), rows))


def alert_comes_and_goes(demo: DemoCluster, clock: Callable[[], float] = time.monotonic) -> None:
    """Load the CPUs of a node until the alert is in Alertmanager, end the load, and wait until it is resolved."""
    node = demo.nodes()[-1]
    demo.wait_calm()
    started = clock()

    def tell(what: str) -> None:
        print(f"  {clock() - started:>5.0f} s  {what}", flush=True)

    print(f"\nKeeping every core of {node} busy until {ALERT} fires:")
    with cpu_load(demo.kubectl, demo.images["agent"], node):
        tell("load started")
        pending = until(f"waiting for {ALERT}", lambda: demo.warned(node, "pending", "firing"))
        tell(f"pending in Prometheus on {_nodes(pending)}")
        firing = until(f"waiting for {ALERT} to fire", lambda: demo.warned(node, "firing"))
        tell(f"FIRING in Prometheus on {_nodes(firing)}")
        active = until(f"waiting for {ALERT} in Alertmanager", lambda: demo.notified(node))
        tell("active in Alertmanager:")
        rows = [(one.labels["severity"], one.labels["node"], one.annotations["description"]) for one in active]
        print(table(("SEVERITY", "NODE", "DESCRIPTION"), sorted(rows)))
    tell("load ended")
    until(f"waiting for {ALERT} to resolve", lambda: not demo.notified())
    tell("resolved: Alertmanager holds no such alert any more")


def where_to_look(demo: DemoCluster, stop: str) -> None:
    """The commands for a person who wants to look around, and the one that ends it."""
    kubectl = "kubectl" if shutil.which("kubectl") else str(ensure("kubectl")["kubectl"])
    lines = []
    if demo.kubectl.kubeconfig:
        lines.append(f"export KUBECONFIG={demo.kubectl.kubeconfig}")
    lines += [
        f"{kubectl} get mtarget,daemonset,pods -n {NAMESPACE} -o wide",
        f"{kubectl} describe mtarget nodes -n {NAMESPACE}",
        f"{kubectl} port-forward -n {NAMESPACE} service/prometheus-demo 9090     # then http://localhost:9090/alerts",
        f"{kubectl} port-forward -n {NAMESPACE} service/alertmanager-demo 9093   # then http://localhost:9093",
        f"{stop}",
    ]
    print("\nLook around:", *(f"  {line}" for line in lines), sep="\n")


def _nodes(alerts: Iterable[ActiveAlert]) -> str:
    return ", ".join(sorted({alert.labels["node"] for alert in alerts}))
