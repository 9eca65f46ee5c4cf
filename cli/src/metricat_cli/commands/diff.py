"""`metricat diff`: show which managed objects a changed MonitoringTarget would change."""

from typing import Annotated

import typer

from metricat_cli import files, options, rendering, targets
from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.api_server import namespaced
from metricat_cli.errors import CommandError
from metricat_cli.targets import ClusterTarget
from metricat_operator import naming


def command(
    *,
    file: Annotated[str, typer.Option("-f", "--file", metavar="FILE", help="YAML file, - for standard input")],
    namespace: options.Namespace = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Show how the managed objects would change if you applied the file. The command changes nothing.

    It compares the objects of the target in the cluster with those of the file, both as this version builds them. The
    exit status is 0 without a difference, 1 with differences and 2 after an error, as for kubectl diff.
    """
    try:
        difference = _difference(files.one(file), options.cluster(kubeconfig, context, as_), namespace)
    except CommandError as error:
        raise CommandError(str(error), 2) from error
    if difference:
        typer.echo(difference)
        raise typer.Exit(1)


def _difference(target: files.FileTarget, api: ApiServer, namespace: str) -> str:
    place = target.namespace(namespace or api.credentials.namespace)
    live = api.find(namespaced(naming.API_VERSION, naming.PLURAL, place, target.name))
    image = _image(api, ClusterTarget(live)) if live else rendering.IMAGE
    if live is None and not targets.installed(api):
        raise CommandError(f"Metricat is not installed in this cluster. Run: {targets.INSTALL}")
    before = rendering.children(target.name, place, live.get("spec") or {}, image) if live else []
    return rendering.differences(
        before, rendering.children(target.name, place, target.manifest.get("spec") or {}, image)
    )


def _image(api: ApiServer, target: ClusterTarget) -> str:
    """Return the image of the running agents, so that the difference shows only the file."""
    found = api.find(namespaced("apps/v1", "daemonsets", target.namespace, naming.child(target.name))) or {}
    containers = found.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    return next((one["image"] for one in containers if one["name"] == naming.AGENT_CONTAINER), rendering.IMAGE)
