"""`metricat completion`: print the completion script for a shell."""

from typing import Annotated

import typer

from metricat_cli import options


def command(*, shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="the shell")]) -> None:
    """Print the script that completes commands, options, and names of targets, namespaces, nodes and contexts.

    Load it in bash and zsh with `source <(metricat completion bash)`, in fish with `metricat completion fish | source`.
    For `kubectl metricat`, kubectl's own completion calls `kubectl_complete-metricat`, installed with metricat.
    """
    from metricat_cli.completion_scripts import SCRIPTS  # noqa: PLC0415 -- only for this command

    options.one_of("shell", shell, *SCRIPTS)
    typer.echo(SCRIPTS[shell].rstrip())
