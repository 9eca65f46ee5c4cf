"""`metricat version`: print the versions of the command line, the operators and the cluster."""

from importlib.metadata import version
from typing import Annotated, Any

import typer

from metricat_cli import options
from metricat_cli.errors import CommandError
from metricat_cli.operators import InstalledOperator, find
from metricat_cli.output import structured


def command(
    *,
    client: Annotated[bool, typer.Option("--client", help="print only the version of the command line")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="text, json or yaml")] = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Print the versions of the command line, of the operators in the cluster, and of Kubernetes."""
    options.one_of("--output", output, "text", "json", "yaml")
    found: dict[str, Any] = {"metricat": version("metricat-cli")}
    error = None
    operators: list[InstalledOperator] = []
    if not client:
        try:
            api = options.cluster(kubeconfig, context, as_)
            found["kubernetes"] = api.get("/version").get("gitVersion", "")
            operators = find(api)
            found["operators"] = {str(one): one.version for one in operators}
        except CommandError as refused:  # the version of the command line needs no cluster
            error = refused
    if output != "text":
        typer.echo(structured(found, output))
    elif client:
        typer.echo(f"metricat {found['metricat']}")
    else:
        typer.echo(f"metricat {found['metricat']}")
        if "kubernetes" in found:
            typer.echo(f"kubernetes {found['kubernetes']}")
        for one in operators:
            typer.echo(f"operator {one} {one.version}{'' if one.available else ' (no pod is ready)'}")
    if error:
        raise error
