"""`metricat validate`: check MonitoringTargets in files with the operator's own rules, without a cluster."""

from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from metricat_cli import files, options
from metricat_cli.errors import ArgumentError, CommandError
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
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="YAML files, - for standard input")
    ] = None,
    file: Annotated[list[str] | None, typer.Option("-f", "--file", metavar="FILE", help="one more file")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="treat warnings as errors")] = False,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FORMAT", help="text, json or yaml")] = "text",
) -> None:
    """Check the MonitoringTargets in YAML files with the operator's own rules. The command needs no cluster.

    Other kinds of objects in the files are ignored. The exit status is 1 if a target is not valid, a file cannot be
    read, or no file has a target. Two targets with the same name and namespace are an error in one file, and a warning
    in different files.
    """
    options.one_of("--output", output, "text", "json", "yaml")
    if not (given := [*(paths or []), *(file or [])]):
        raise ArgumentError("no file is given. Name YAML files, or - for standard input")
    if given.count(files.STDIN) > 1:
        raise ArgumentError("- is given twice. Standard input can be read only once")
    known: dict[str, list[files.FileTarget]] = {}
    found = [result for path in given for result in _results(path, known)]
    if not found:
        raise CommandError(f"no MonitoringTarget in {', '.join(given)}. Check the paths")
    invalid = [one for one in found if one.errors or (strict and one.warnings)]
    if output == "text":
        typer.echo("\n".join(_text(one, is_valid=one not in invalid) for one in found))
        typer.echo(f"\n{len(found) - len(invalid)} of {len(found)} are valid.")
    else:
        typer.echo(structured([asdict(one) for one in found], output))
    if invalid:
        raise typer.Exit(1)


def _results(path: str, known: dict[str, list[files.FileTarget]]) -> list[FileResult]:
    """Return the result of each target of a file. `known` are the targets so far, by namespace and name."""
    try:
        targets = files.read(path)
    except CommandError as error:
        return [FileResult(path, "", [str(error)])]
    return [_result(target, known) for target in targets]


def _result(target: files.FileTarget, known: dict[str, list[files.FileTarget]]) -> FileResult:
    name = f"{target.namespace()}/{target.name}"
    errors, warnings = [*files.metadata_errors(target.manifest), *target.parsed.errors], list(target.parsed.warnings)
    earlier = known.setdefault(name, []) if target.name else []
    if earlier:
        # Files may be alternatives, such as those in examples/. Objects of one file are applied together.
        first = next((one for one in earlier if one.file == target.file), earlier[0])
        found = errors if first.file == target.file else warnings
        found.append(
            f"object {target.number} of {target.file} has the same name and namespace as object {first.number} of "
            f"{first.file}. If you apply both, the last one replaces the other. Rename or remove one of them."
        )
    earlier.append(target)
    return FileResult(target.file, name, errors, warnings)


def _text(result: FileResult, *, is_valid: bool) -> str:
    head = f"{result.file}: {result.target}".removesuffix(": ")
    details = [*(f"  error: {one}" for one in result.errors), *(f"  warning: {one}" for one in result.warnings)]
    return "\n".join([f"{head}: {'valid' if is_valid else 'not valid'}", *details])
