"""`metricat migrate`: write a MonitoringTarget from the values of node_exporter's chart."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from metricat_cli import options
from metricat_cli.errors import ArgumentError, CommandError
from metricat_cli.output import colored, structured

_COLORS = {"carried over": "green", "not needed": "dim", "not carried over": "yellow"}


def command(
    *,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="YAML file with values, as from helm get values; - for standard input")
    ] = "",
    release: Annotated[
        str, typer.Option("--release", metavar="NAME", help="read the values of this Helm release in the cluster")
    ] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="name of the MonitoringTarget")] = "nodes",
    namespace: Annotated[
        str,
        typer.Option(
            "-n",
            "--namespace",
            metavar="NAME",
            help="namespace of target and release (default: monitoring; with --release, that of the context)",
        ),
    ] = "",
    strict: Annotated[bool, typer.Option("--strict", help="exit with 1 if a value cannot be carried over")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="yaml or json")] = "yaml",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Write a MonitoringTarget from the values of the chart prometheus-node-exporter, or of kube-prometheus-stack.

    The target goes to standard output. For each value, standard error lists whether it is carried over, is not needed,
    or cannot be carried over, with the remedy. With `-o json`, both are in one object. Defaults of the chart are not
    carried over: the agent has its own.

    With `--release`, the command reads the Secret in which Helm keeps the release. The command changes nothing.
    """
    from metricat_cli import files, helm_release, migration  # noqa: PLC0415 -- Pydantic takes a second of CPU time

    options.one_of("--output", output, "yaml", "json")
    if bool(file) == bool(release):
        raise ArgumentError("give exactly one of FILE and --release")
    if release:
        api = options.cluster(kubeconfig, context, as_)
        place = options.scope(api, namespace, everywhere=False)
        found = helm_release.read(api, place, release)
        done = migration.migrate(found.values, release)
    else:
        place = namespace or "monitoring"
        done = migration.migrate(files.mapping(file))
    target = migration.target(done, name, place)
    lost = sum(one.outcome is migration.Outcome.LOST for one in done.notes)
    if output == "json":
        notes: list[dict[str, Any]] = [{**asdict(one), "outcome": str(one.outcome)} for one in done.notes]
        typer.echo(structured({"target": target, "values": notes}, "json"))
    else:
        typer.echo(structured(target, "yaml"))
        for one in done.notes:
            typer.echo(f"{colored(one.outcome, _COLORS[one.outcome])}: {one.value}: {one.message}", file=sys.stderr)
        typer.echo(f"{len(done.notes) - lost} of {len(done.notes)} values need no further work.", file=sys.stderr)
    if strict and lost:
        raise CommandError(f"{lost} of {len(done.notes)} values cannot be carried over. See the list")
