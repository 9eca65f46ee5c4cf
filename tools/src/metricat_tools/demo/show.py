"""The output of the demo."""

import shutil
import time
from collections.abc import Callable, Iterable

from metricat_tools.binaries import ensure
from metricat_tools.demo import page
from metricat_tools.demo.demo_cluster import ALERT, RECORDED, DemoCluster
from metricat_tools.demo.load import cpu_load
from metricat_tools.demo.tables import table
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert, ScrapeTarget
from metricat_tools.stack.wait import until


def indented(text: str) -> str:
    """Return a program's output, indented by two spaces."""
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


def object_and_agents(demo: DemoCluster, agents: Iterable[ScrapeTarget]) -> None:
    """Print the MonitoringTarget as kubectl does, and each agent's scrape target."""
    print(f"\n$ kubectl get mtarget --namespace {NAMESPACE}")
    print(indented(demo.kubectl.run("get", "mtarget", "--namespace", NAMESPACE)))
    print("\nScrape targets of Prometheus:")
    rows = [(one.labels["node"], one.labels["pool"], one.health, one.url) for one in agents]
    print(table(("NODE", "POOL", "HEALTH", "ADDRESS"), sorted(rows)))


def recorded(demo: DemoCluster) -> None:
    """Print the recorded series, one line for each node."""
    found = demo.wait_recorded()
    cpu, memory, filesystem = (found[measure] for measure in RECORDED)
    rows = [
        (node, cpu[node].value, memory[node].value, fullest.value, fullest.labels["mountpoint"])
        for node, fullest in sorted(filesystem.items())
    ]
    print("\nRecorded series of the nodes:")
    print(table(("NODE", "CPU %", "MEMORY %", "FULLEST FILESYSTEM %", "MOUNTED ON"), rows))


def alert_fires_and_resolves(demo: DemoCluster, clock: Callable[[], float] = time.monotonic) -> None:
    """Load a node's CPUs until the alert is in Alertmanager, end the load, and wait until the alert is resolved."""
    node = demo.nodes()[-1]
    demo.wait_for_idle_cpus()
    started = clock()

    def report(what: str) -> None:
        print(f"  {clock() - started:>5.0f} s  {what}", flush=True)

    print(f"\nKeeping every core of {node} busy until {ALERT} fires:")
    with cpu_load(demo.kubectl, demo.images["agent"], node):
        report("load started")
        pending = until(f"waiting for {ALERT}", lambda: demo.warned(node, "pending", "firing"))
        report(f"pending in Prometheus on {_nodes(pending)}")
        firing = until(f"waiting for {ALERT} to fire", lambda: demo.warned(node, "firing"))
        report(f"FIRING in Prometheus on {_nodes(firing)}")
        active = until(f"waiting for {ALERT} in Alertmanager", lambda: demo.notified(node))
        report("active in Alertmanager:")
        rows = [(one.labels["severity"], one.labels["node"], one.annotations["description"]) for one in active]
        print(table(("SEVERITY", "NODE", "DESCRIPTION"), sorted(rows)))
    report("load ended")
    until(f"waiting for {ALERT} to resolve", lambda: not demo.notified())
    report("resolved: Alertmanager no longer has the alert")


def next_commands(demo: DemoCluster, stop: str) -> None:
    """Print commands to explore the cluster, and the command that removes it."""
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
    print("\nExplore the cluster:", *(f"  {line}" for line in lines), sep="\n")


def page_of_the_hub(demo: DemoCluster, url: str, token: str) -> None:
    """Print the address of the page with a token that signs in. Without an address, print how to forward a port."""
    kubectl = demo.kubectl.words
    lines = [f"{url or page.LOCAL}/#key={token}"]
    if not url:
        lines.insert(0, f"{kubectl} port-forward -n {NAMESPACE} service/{page.SERVICE} 8428     # keep it running")
    print(
        "\nThe web page of the hub. For 12 hours, this address signs in a user who may change thresholds and silences:",
        *(f"  {line}" for line in lines),
        "To create another token, which you can enter as key on the page:",
        f"  {kubectl} create token {page.USER} -n {NAMESPACE} --duration=12h",
        sep="\n",
    )


def _nodes(alerts: Iterable[ActiveAlert]) -> str:
    return ", ".join(sorted({alert.labels["node"] for alert in alerts}))
