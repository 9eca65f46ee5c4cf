"""YAML as text: keys and values as written, with their line numbers.

YAML reads ``010`` as 8, ``1:30`` as 90, ``no`` as false, and keeps the last of two equal keys without an error. A
setting has the same text in a file as on the command line, so this module keeps the text and rejects equal keys.
It imports `yaml`, which takes 1 MiB of memory: import this module only to read a file. See
docs/design/0026-settings-as-text.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "null", "bool", "int", "float", "timestamp", "value")
_TOO_DEEP = "nested too deeply or recursively"
_MOST_COPIES = 100_000
"""Maximum number of values that aliases repeat: nested lists of aliases make billions of values from a few lines."""


class YamlError(Exception):
    """A text is not YAML that this module supports. The message has the cause, any line number, and the remedy."""


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a YAML document: a text, a list or a mapping, and the number of its first line."""

    value: str | Sequence[Node] | Mapping[str, Node]
    line: int
    kind: str
    """YAML's type of the value: ``str``, ``null``, ``bool``, ``int``, ``float``, ``timestamp``, ``seq`` or ``map``."""

    @property
    def is_null(self) -> bool:
        """Whether the key has no value."""
        return self.kind == "null"


def read_file(path: str) -> Node | None:
    """Return the content of a file, None for an empty one; raise `YamlError`, whose message shows no content."""
    try:
        with open(path, encoding="utf-8") as opened:  # noqa: PTH123 -- all other paths are strings
            return read_text(opened)
    except OSError as error:
        raise YamlError(f"cannot be read: {error.strerror}; give the path of a readable file") from None
    except ValueError:
        raise YamlError("invalid YAML: not valid text; write KEY: VALUE lines") from None


def read_text(text: str | TextIO) -> Node | None:
    """Return the content of a text, None for an empty one; raise `YamlError`, whose message shows no content."""
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        return None if root is None else _Reader().node(root)
    except RecursionError:
        raise YamlError(f"invalid YAML: {_TOO_DEEP}; write KEY: VALUE lines") from None
    except (ValueError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        why = getattr(error, "problem", None) or "not valid text"
        raise YamlError(f"invalid YAML: {why}{line}; write KEY: VALUE lines") from None


def plain(node: Node | None) -> object:
    """Return the value of a node as texts, lists and mappings; None for a null value or without a node."""
    if node is None or node.is_null:
        return None
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, Mapping):
        return {key: plain(one) for key, one in node.value.items()}
    return [plain(one) for one in node.value]


class _Reader:
    """Reads one document."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._copies = 0

    def node(self, node: yaml.Node) -> Node:
        """Return a value, and that of an alias as a copy."""
        self._count(node)
        kind = str(node.tag).removeprefix(_TAG)
        line = _line(node)
        if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
            return Node(str(node.value), line, "str" if kind == "value" else kind)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return Node([self.node(item) for item in node.value], line, kind)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return Node(self._mapping(node), line, kind)
        raise YamlError(
            f"invalid YAML: the tag {node.tag} in line {line} is not supported; write the value without a tag"
        )

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Node]:
        """Return the pairs of a mapping; its own keys take precedence over those merged with ``<<``."""
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in node.value:
            line = _line(key)
            if key.tag == f"{_TAG}merge":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(source, yaml.MappingNode):
                        raise YamlError(
                            f"invalid YAML: << in line {line} is not followed by a mapping; write <<: *ANCHOR"
                        )
                    self._count(source)
                    merged = {**self._mapping(source), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError(f"invalid YAML: a key in line {line} is not text; write KEY: VALUE lines")
            name = str(key.value)
            if name in own:
                raise YamlError(
                    f"the key {name} is given twice, in line {own[name].line} and in line {line}; remove one of them"
                )
            own[name] = Node((made := self.node(value)).value, line, made.kind)
        return {**merged, **own}

    def _count(self, node: yaml.Node) -> None:
        if id(node) not in self._seen:
            self._seen.add(id(node))
            return
        self._copies += 1
        if self._copies > _MOST_COPIES:
            raise YamlError(f"invalid YAML: aliases repeat more than {_MOST_COPIES} values; write fewer aliases")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
