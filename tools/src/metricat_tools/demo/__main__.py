"""`python -m metricat_tools demo [--cluster current] [--stop]`."""

import argparse
from collections.abc import Sequence

from metricat_tools.demo import page, setup, show
from metricat_tools.demo.steps import Steps

NAME, CURRENT = "demo", "current"


def main(arguments: Sequence[str]) -> None:
    """Set up the demo, print its results, let an alert fire and resolve, and keep the cluster running."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools demo", description=__doc__)
    parser.add_argument(
        "--cluster",
        default=NAME,
        metavar="NAME",
        help=f"`{CURRENT}`: the cluster of the current kubeconfig context; otherwise our own with this name ({NAME})",
    )
    parser.add_argument(
        "--registry", default="", help="registry from which the nodes of your cluster pull Metricat's images"
    )
    parser.add_argument("--stop", action="store_true", help="stop the demo's own cluster")
    chosen = parser.parse_args(arguments)
    steps = Steps()
    if chosen.stop:
        with steps.step(f"cluster `{chosen.cluster}` down"):
            setup.stop(chosen.cluster)
        return
    print("Metricat on a real cluster, from installation to a resolved alert:\n")
    if chosen.cluster == CURRENT:
        demo = setup.current_cluster(chosen.registry, steps)
        stop = "helm uninstall metricat -n monitoring    # the targets and their CRD stay"
        url = ""
    else:
        cluster, demo = setup.own_cluster(chosen.cluster, steps, hub=True)
        stop = "make demo-down"
        url = page.forward(cluster, demo)
    show.object_and_agents(demo, demo.wait_scraped())
    show.recorded(demo)
    show.page_of_the_hub(demo, url, page.token(demo))
    show.alert_fires_and_resolves(demo)
    show.next_commands(demo, stop)
    print(f"\nDone in {steps.total:.0f} s.")
