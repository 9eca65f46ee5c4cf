"""`metricat bundle`: write a support archive with masked secrets."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from metricat_cli import options
from metricat_cli.errors import CommandError
from metricat_cli.output import format_bytes, structured, table


def command(
    *,
    file: Annotated[
        str,
        typer.Option("-f", "--file", metavar="FILE", help="archive to write (default: metricat-bundle-TIME.tar.gz)"),
    ] = "",
    namespace: options.AnyNamespace = "",
    all_namespaces: options.AllNamespaces = False,
    tail: Annotated[
        int, typer.Option("--tail", metavar="NUMBER", min=1, max=100_000, help="lines of each log, from its end")
    ] = 1000,
    agents: Annotated[
        int,
        typer.Option(
            "--agents", metavar="NUMBER", min=0, help="agents of each target whose logs are read, not ready ones first"
        ),
    ] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the contents, write no archive")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="text, json or yaml")] = "text",
    prometheus: options.Prometheus = "",
    header: options.Headers = None,
    http_config_file: options.HttpConfigFile = "",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
    as_: options.As = "",
) -> None:
    """Write a support archive (.tar.gz) and list its contents.

    The archive contains the MonitoringTargets with status, conditions and events, their managed objects, the operators,
    the logs of operators and agents, the versions, the result of `metricat check`, and Prometheus' targets. The file
    errors.txt names each part that could not be read.

    The command reads no Secret. It masks passwords, tokens, keys and credentials in URLs. Names of nodes, pods and
    processes, and IP addresses, remain: read the archive before you share it.
    """
    from metricat_cli import bundle  # noqa: PLC0415 -- the child kinds import Pydantic

    options.one_of("--output", output, "text", "json", "yaml")
    now = time.time()
    folder = time.strftime("metricat-bundle-%Y%m%d-%H%M%S", time.gmtime(now))
    path = Path(file or f"{folder}.tar.gz")
    if not dry_run and path.exists():
        raise CommandError(f"{path} exists. Choose another --file")
    client = options.prometheus_client(prometheus, header, http_config_file)
    api = options.cluster(kubeconfig, context, as_)
    place = options.scope(api, namespace, everywhere=all_namespaces or not namespace)
    files = bundle.collect(api, place, bundle.Limits(tail, agents), client)
    if not dry_run:
        _write(path, bundle.archive(files, folder, now))
    if output != "text":
        contents = [{"name": one.name, "bytes": len(one.content)} for one in files]
        typer.echo(structured({"file": "" if dry_run else str(path), "contents": contents}, output))
        return
    typer.echo(table([["SIZE", "FILE"], *([format_bytes(len(one.content)), one.name] for one in files)]))
    errors = next((one.content.decode() for one in files if one.name == "errors.txt"), "")
    if errors:
        lines = errors.splitlines()
        details = "\n".join(["", *lines]) if dry_run else " The file errors.txt in the archive lists them."
        typer.echo(f"\nParts that could not be read: {len(lines)}.{details}")
    typer.echo("\nNo archive is written: --dry-run." if dry_run else f"\nWritten: {path}. Read it before you share it.")


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}. Choose another --file") from error
