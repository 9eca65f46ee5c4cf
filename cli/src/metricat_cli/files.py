"""MonitoringTargets in YAML files, or in standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from metricat_cli.errors import CommandError
from metricat_operator import naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_operator.api.parse import Parsed

STDIN = "-"


@dataclass(frozen=True)
class FileTarget:
    """A MonitoringTarget of a file, and its parsed spec."""

    file: str
    manifest: dict[str, Any]
    parsed: Parsed

    @property
    def name(self) -> str:
        """The name of the target."""
        return str((self.manifest.get("metadata") or {}).get("name") or "")

    def namespace(self, default: str = "default") -> str:
        """Return the namespace that the file sets, otherwise `default`."""
        return str((self.manifest.get("metadata") or {}).get("namespace") or default)


class _Loader(yaml.SafeLoader):
    """A loader that rejects equal keys, of which YAML would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- as in yaml
        """Return a mapping; raise `ConstructorError` for a key that is given twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for at, key in enumerate(keys) if key in keys[:at]]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def read(file: str) -> list[FileTarget]:
    """Return the MonitoringTargets of a file, also those in a List; `-` is standard input.

    Raises:
        CommandError: the file is not readable, or does not contain objects as YAML.
    """
    from metricat_operator.api.parse import parse  # noqa: PLC0415 -- Pydantic takes a second; `--help` needs none

    shown, documents = _documents(file)
    return [
        FileTarget(shown, one, parse(_spec(one, shown)))
        for one in _objects(documents)
        if one.get("kind") == naming.KIND
    ]


def mapping(file: str) -> dict[str, Any]:
    """Return the only document of a file, for example the values of a chart; empty for an empty file.

    Raises:
        CommandError: the file is not readable, or does not hold one mapping.
    """
    shown, documents = _documents(file)
    if len(documents) > 1:
        raise CommandError(f"{shown} holds {len(documents)} documents. Use a file with one")
    return documents[0] if documents else {}


def one(file: str) -> FileTarget:
    """Return the only MonitoringTarget of a file, which has a name and a valid spec.

    Raises:
        CommandError: the file has none or several, or the target is not valid.
    """
    found = read(file)
    if len(found) != 1:
        shown = _shown(file)
        raise CommandError(f"{shown} holds {len(found)} objects of kind {naming.KIND}. Use a file with exactly one")
    [target] = found
    if not target.name:
        raise CommandError(f"{target.file}: the {naming.KIND} has no metadata.name. Set it to the name of the target")
    if target.parsed.spec is None or target.parsed.errors:
        raise CommandError(f"{target.file}: " + "; ".join(target.parsed.errors))
    return target


def _shown(file: str) -> str:
    return "standard input" if file == STDIN else file


def _documents(file: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the name of a file in messages, and its documents."""
    shown = _shown(file)
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text()
        found = yaml.load_all(text, _Loader)  # nosemgrep: yaml-without-safe-loader -- a SafeLoader
        documents = [one for one in found if one is not None]
    except FileNotFoundError as error:
        raise CommandError(f"cannot read {shown}: the file does not exist. Check the path") from error
    except OSError as error:
        raise CommandError(f"cannot read {shown}: {error.strerror}. Check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"cannot read {shown}: it is not UTF-8 text. Check the path") from error
    except yaml.YAMLError as error:
        raise CommandError(f"cannot read {shown}: {_problem(error)}. Correct the YAML") from error
    if wrong := [one for one in documents if not isinstance(one, dict)]:
        raise CommandError(f"cannot read {shown}: it holds {str(wrong[0])[:40]!r} instead of an object. Check the file")
    return shown, documents


def _objects(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        if str(document.get("kind", "")).endswith("List"):
            yield from (item for item in document.get("items") or [] if isinstance(item, dict))
        else:
            yield document


def _spec(manifest: dict[str, Any], file: str) -> dict[str, Any]:
    spec = manifest.get("spec") or {}
    if not isinstance(spec, dict):
        raise CommandError(f"{file}: the spec of the {naming.KIND} is not a map. Write its fields below spec:")
    return spec


def _problem(error: yaml.YAMLError) -> str:
    """Return what is wrong and where, without the excerpts of PyYAML."""
    mark = getattr(error, "problem_mark", None)
    text = str(getattr(error, "problem", None) or str(error).splitlines()[0])
    return f"line {mark.line + 1}: {text}" if mark else text
