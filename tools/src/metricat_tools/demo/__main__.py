"""`python -m metricat_tools demo [--cluster current] [--stop]`."""

import argparse
from collections.abc import Sequence

from metricat_tools.demo import setup, show
from metricat_tools.demo.steps import Steps

NAME, CURRENT = "demo", "current"


def main(arguments: Sequence[str]) -> None:
    """Set the demo, show it, let an alert fire and resolve, and leave everything up."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools demo", description=__doc__)
    parser.add_argument(
        "--cluster",
        default=NAME,
        metavar="NAME",
        help=f"`{CURRENT}`: the cluster of the current kubeconfig context; else our own of this name (default {NAME})",
    )
    parser.add_argument("--registry", default="", help="where the nodes get Metricat's images, for somebody's cluster")
    parser.add_argument("--stop", action="store_true", help="take our own cluster down again")
    chosen = parser.parse_args(arguments)
    steps = Steps()
    if chosen.stop:
        with steps.step(f"cluster `{chosen.cluster}` down"):
            setup.stop(chosen.cluster)
        return
    print("Metricat on a real cluster, end to end:\n")
    if chosen.cluster == CURRENT:
        demo = setup.current_cluster(chosen.registry, steps)
        stop = "helm uninstall metricat -n monitoring    # the targets and their CRD stay"
    else:
        _, demo = setup.own_cluster(chosen.cluster, steps)
        stop = "make demo-down"
    show.object_and_agents(demo, demo.wait_scraped())
    show.answers(demo)
    show.alert_comes_and_goes(demo)
    show.where_to_look(demo, stop)
    print(f"\nDone in {steps.total:.0f} s.")
