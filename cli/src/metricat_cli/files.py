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

    from yaml import SafeLoader

    from metricat_operator.api.parse import Parsed
else:
    try:
        from yaml import CSafeLoader as SafeLoader
    except ImportError:  # PyYAML without libyaml
        from yaml import SafeLoader

STDIN = "-"
_MOST_BYTES = 8 << 20
_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class FileTarget:
    """A MonitoringTarget of a file, and its parsed spec."""

    file: str
    manifest: dict[str, Any]
    parsed: Parsed
    number: int = 1
    """The place of the object in the file. Items of a List count as objects of the file."""

    @property
    def name(self) -> str:
        """The name of the target."""
        return str(_metadata(self.manifest).get("name") or "")

    def namespace(self, default: str = "default") -> str:
        """Return the namespace that the file sets, otherwise `default`."""
        return str(_metadata(self.manifest).get("namespace") or default)


class _Loader(SafeLoader):
    """A loader that rejects equal keys, of which YAML would keep the last one, and aliases that expand without end."""

    def construct_document(self, node: yaml.Node) -> Any:
        """Return the value of a document; raise `ConstructorError` if its aliases expand to too many values."""
        _count(node, {})
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- as in yaml
        """Return a mapping; raise `ConstructorError` for a key that is given twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for at, key in enumerate(keys) if key in keys[:at]]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values of a node with all aliases expanded; raise `ConstructorError` above the limit."""
    if (found := known.get(id(node))) is not None:
        if not found:
            raise yaml.constructor.ConstructorError(None, None, "an alias refers to its own value", node.start_mark)
        return found
    known[id(node)] = 0
    parts = node.value if isinstance(node, yaml.CollectionNode) else ()
    number = 1
    for part in parts:
        number += sum(_count(one, known) for one in (part if isinstance(part, tuple) else (part,)))
    if number > _MOST_VALUES:
        raise yaml.constructor.ConstructorError(
            None, None, f"more than {_MOST_VALUES:,} values, with all aliases expanded", node.start_mark
        )
    known[id(node)] = number
    return number


def read(file: str) -> list[FileTarget]:
    """Return the MonitoringTargets of a file, also those in a List; `-` is standard input.

    Raises:
        CommandError: the file is not readable, or does not contain objects as YAML.
    """
    from metricat_operator.api.parse import parse  # noqa: PLC0415 -- Pydantic takes a second; `--help` needs none

    shown, documents = _documents(file)
    return [
        FileTarget(shown, one, parse(_spec(one, shown)), number)
        for number, one in enumerate(_objects(documents), 1)
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
    if wrong := metadata_errors(target.manifest):
        raise CommandError(f"{target.file}: {wrong[0].removesuffix('.')}")
    if target.parsed.spec is None or target.parsed.errors:
        raise CommandError(f"{target.file}: " + "; ".join(target.parsed.errors))
    return target


def _shown(file: str) -> str:
    return "standard input" if file == STDIN else file


def _documents(file: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the name of a file in messages, and its documents."""
    shown = _shown(file)
    try:
        text = _text(file)
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
    except RecursionError as error:
        raise CommandError(f"cannot read {shown}: its values are nested too deeply. Correct the YAML") from error
    except ValueError as error:  # a date that does not exist, a number with too many digits, a path with NUL
        why = "a number has too many digits" if "set_int_max_str_digits" in str(error) else error
        raise CommandError(f"cannot read {shown}: {why}. Correct the file or its path") from error
    if wrong := [one for one in documents if not isinstance(one, dict)]:
        raise CommandError(f"cannot read {shown}: it holds {str(wrong[0])[:40]!r} instead of an object. Check the file")
    return shown, documents


def _text(file: str) -> str:
    if file == STDIN:
        if sys.stdin is None:  # the shell closed it: <&-
            raise ValueError("it is closed")
        text = sys.stdin.read(_MOST_BYTES + 1)
    else:
        with Path(file).open(encoding="utf-8") as opened:
            text = opened.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
    return text


def _metadata(manifest: dict[str, Any]) -> dict[str, Any]:
    found = manifest.get("metadata")
    return found if isinstance(found, dict) else {}


def metadata_errors(manifest: dict[str, Any]) -> list[str]:
    """Return the errors of the version, the name and the namespace."""
    version = manifest.get("apiVersion", naming.API_VERSION)
    found = [] if version == naming.API_VERSION else [f"invalid apiVersion {version!r}; use {naming.API_VERSION}"]
    if not isinstance(manifest.get("metadata") or {}, dict):
        return [*found, "metadata is not a map. Write the name of the target as metadata.name."]
    values = _metadata(manifest)
    found += [
        f"metadata.{key}: invalid name {str(value)[:80]!r}; use lowercase letters, digits, hyphens and dots"
        for key in ("name", "namespace")
        if (value := values.get(key)) and not (isinstance(value, str) and naming.is_object_name(value))
    ]
    return found if values.get("name") else [*found, f"the {naming.KIND} has no metadata.name. Set it."]


def _objects(documents: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for document in documents:
        items = document.get("items")
        if str(document.get("kind", "")).endswith("List") and isinstance(items or [], list):
            yield from (item for item in items or [] if isinstance(item, dict))
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
