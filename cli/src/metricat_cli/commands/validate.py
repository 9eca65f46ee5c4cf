"""`metricat validate`: check MonitoringTargets in files with the operator's own rules, without a cluster."""

from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from metricat_cli import files, options
from metricat_cli.errors import CommandError
from metricat_cli.output import structured


@dataclass(frozen=True)
class FileResult:
    """The errors and warnings of one target, or of a file that is not readable."""

    file: str
    target: str
    errors: list[str]
    warnings: list[str] = field(default_factory=list)


def command(
    *,
    paths: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files, - for standard input")],
    strict: Annotated[bool, typer.Option("--strict", help="treat warnings as errors")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="text, json or yaml")] = "text",
) -> None:
    """Check the MonitoringTargets in YAML files with the operator's own rules. The command needs no cluster.

    Other kinds of objects in the files are ignored. The exit status is 1 if a target is not valid, or no file has one.
    """
    options.one_of("--output", output, "text", "json", "yaml")
    found: list[FileResult] = []
    for path in paths:
        found += _results(path)
    if not found:
        raise CommandError(f"no MonitoringTarget in {', '.join(paths)}. Check the paths")
    invalid = [one for one in found if one.errors or (strict and one.warnings)]
    if output == "text":
        typer.echo("\n".join(map(_text, found)))
        typer.echo(f"\n{len(found) - len(invalid)} of {len(found)} are valid.")
    else:
        typer.echo(structured([asdict(one) for one in found], output))
    if invalid:
        raise typer.Exit(1)


def _results(path: str) -> list[FileResult]:
    try:
        targets = files.read(path)
    except CommandError as error:
        return [FileResult(path, "", [str(error)])]
    return [
        FileResult(
            target.file,
            f"{target.namespace()}/{target.name}",
            [*target.parsed.errors, *([] if target.name else ["metadata.name is missing. Set it."])],
            list(target.parsed.warnings),
        )
        for target in targets
    ]


def _text(result: FileResult) -> str:
    head = f"{result.file}: {result.target}".removesuffix(": ")
    details = [*(f"  error: {one}" for one in result.errors), *(f"  warning: {one}" for one in result.warnings)]
    return "\n".join([f"{head}: {'not valid' if result.errors else 'valid'}", *details])
