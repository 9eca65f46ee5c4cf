"""`metricat diff`: show which managed objects a changed MonitoringTarget would change."""

from typing import Annotated

import typer

from metricat_cli import files, options, rendering, targets
from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.api_server import namespaced
from metricat_cli.errors import CommandError
from metricat_cli.output import note
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

    The command builds the objects of the target in the cluster and those of the target in the file, and compares them.
    The exit status is 0 without a difference, 1 with differences and 2 after an error, as for kubectl diff.

    If the spec sets no labels, both sides have the labels that the operator gave to the monitor and the rules in the
    cluster.
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
    if live:
        targets.note_deletions([ClusterTarget(live)])
    if live is None and not targets.installed(api):
        raise targets.not_installed(api)
    wanted = target.manifest.get("spec") or {}
    extra = _extra_labels(api, place, target.name) if live else None
    before = rendering.children(target.name, place, live.get("spec") or {}, image, extra) if live else []
    after = rendering.children(target.name, place, wanted, image, extra)
    if live is None and (fields := rendering.without_labels(wanted)):
        note(f"{rendering.UNKNOWN_LABELS.format(fields=' and '.join(fields))}.")
    return rendering.differences(before, after)


def _extra_labels(api: ApiServer, namespace: str, name: str) -> rendering.ExtraLabels:
    """Return the labels of the live monitor and rules that are not the same on every target.

    The operator keeps them as long as a Prometheus selects the objects by them.
    """

    def labels(plural: str, child: str) -> dict[str, str]:
        found = api.find(namespaced("monitoring.coreos.com/v1", plural, namespace, child)) or {}
        own = found.get("metadata", {}).get("labels") or {}
        return {key: value for key, value in own.items() if not naming.is_own_label(key)}

    return rendering.ExtraLabels(
        labels("servicemonitors", naming.child(name)), labels("prometheusrules", naming.rules(name))
    )


def _image(api: ApiServer, target: ClusterTarget) -> str:
    """Return the image of the running agents, so that the difference shows only the file."""
    found = api.find(namespaced("apps/v1", "daemonsets", target.namespace, naming.child(target.name))) or {}
    containers = found.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or []
    return next((one["image"] for one in containers if one["name"] == naming.AGENT_CONTAINER), rendering.IMAGE)
