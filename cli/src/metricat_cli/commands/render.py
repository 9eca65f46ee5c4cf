"""`metricat render`: print the managed objects of a MonitoringTarget, without a cluster."""

from importlib.metadata import version
from typing import Annotated

import typer

from metricat_cli import files, options, rendering
from metricat_cli.output import note, structured


def command(
    *,
    file: Annotated[str, typer.Option("-f", "--file", metavar="FILE", help="YAML file, - for standard input")],
    namespace: Annotated[
        str, typer.Option("-n", "--namespace", metavar="NAME", help="namespace if the file sets none")
    ] = "default",
    agent_image: Annotated[
        str, typer.Option("--agent-image", metavar="IMAGE", help="image of the agents (default: that of this version)")
    ] = "",
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="yaml or json")] = "yaml",
) -> None:
    """Print the objects that the operator would apply for a MonitoringTarget: DaemonSets, monitor, rules and others.

    The command needs no cluster. The objects have no owner reference, and no labels that depend on the Prometheus of
    a cluster.
    """
    options.one_of("--output", output, "yaml", "json")
    target = files.one(file)
    image = agent_image or f"{rendering.IMAGE}:{version('metricat-cli')}"
    spec = target.manifest.get("spec") or {}
    found = rendering.children(target.name, target.namespace(namespace), spec, image)
    typer.echo(rendering.to_yaml(found).rstrip() if output == "yaml" else structured(found, "json"))
    if fields := rendering.without_labels(spec):
        note(f"{rendering.UNKNOWN_LABELS.format(fields=' and '.join(fields))}, which render does not read.")
