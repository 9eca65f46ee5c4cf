"""Sections of YAML files. Each error message contains file, line, key, cause and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from metricat_agent.config.hints import nearest
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from metricat_agent.config.loader import Value
    from metricat_agent.config.yaml_text import Node

    Unsupported = Callable[[str], str]

T = TypeVar("T")


class ConfigFileError(HubError):
    """A file is not valid. The message contains file, line, key, cause and remedy."""

    def __init__(self, message: str, key: str = "", why: str = "") -> None:
        super().__init__(message)
        self.key = key
        """The path of the key; empty: the error is about the whole file."""
        self.why = why
        """The message without file, line and key."""


def no_remedy(_: str) -> str:
    """Return an empty text: the default for `Section.unsupported`."""
    return ""


class Section:
    """A mapping in a YAML file, with methods that read and check the value of each key."""

    def __init__(
        self, node: Node, path: str, file: str, known: Iterable[str], unsupported: Unsupported = no_remedy
    ) -> None:
        """Check the keys of the mapping.

        Args:
            node: the mapping.
            path: the path of the mapping in the file, with a final dot, for error messages.
            file: the path of the file.
            known: the valid keys.
            unsupported: returns what to do about a key that only Prometheus or Alertmanager supports; empty: unknown.

        Raises:
            ConfigFileError: the node is not a mapping, or has a key that is not known.
        """
        self.unsupported = unsupported
        self.file, self.path, self.line = file, path, node.line
        self.values: Mapping[str, Node] = {} if node.is_null else mapping(node, path, file)
        known = tuple(known)
        for key, value in self.values.items():
            if key not in known:
                self._unknown(key, value, known)

    def _unknown(self, key: str, value: Node, known: Sequence[str]) -> NoReturn:
        if remedy := self.unsupported(key):
            fail(self.file, value.line, f"{self.path}{key}", f"the hub does not support this setting; {remedy}")
        similar = nearest(key, known)
        remedy = f"did you mean {similar}?" if similar else f"use one of {', '.join(sorted(known))}"
        fail(self.file, value.line, f"{self.path}{key}", f"unknown key; {remedy}")

    def fail(self, key: str, why: str) -> NoReturn:
        """Raise a `ConfigFileError` about a key; `why` is the cause with a remedy."""
        node = self.values.get(key)
        fail(self.file, node.line if node else self.line, f"{self.path}{key}", why)

    def text(self, key: str, default: str = "") -> str:
        """Return the text of a key; the default without the key."""
        node = self.values.get(key)
        if node is None or node.is_null:
            return default
        if not isinstance(node.value, str):
            self.fail(key, "not a single value; write one value")
        return node.value

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """Parse the text of a key with a function that raises ValueError; return the default without the key."""
        text = self.text(key)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.fail(key, str(error))

    def switch(self, key: str, *, default: bool) -> bool:
        """Return the boolean of a key; the default without the key."""
        return self.parsed(key, boolean, default)

    def choice(self, key: str, choices: Sequence[str], default: str) -> str:
        """Return the value of a key, which must be one of the choices; the default without the key."""
        text = self.text(key, default)
        if text and text not in choices:
            self.fail(key, f"unknown value '{text}'; write one of {', '.join(choices)}")
        return text

    def items(self, key: str) -> list[Node]:
        """Return the items of a list; an empty list without the key."""
        node = self.values.get(key)
        if node is None or node.is_null:
            return []
        if isinstance(node.value, str) or not is_list(node):
            self.fail(key, "not a list; write its items as - ITEM")
        return list(cast("Sequence[Node]", node.value))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty without the key."""
        found = []
        for node in self.items(key):
            if not isinstance(node.value, str):
                fail(
                    self.file,
                    node.line,
                    f"{self.path}{key}",
                    "an item is not a single value; write one value for each item",
                )
            found.append("" if node.is_null else node.value)
        return tuple(found)

    def pairs(self, key: str) -> dict[str, str]:
        """Return a mapping of names to texts, such as labels; empty without the key."""
        inner = self.values.get(key)
        if inner is None or inner.is_null:
            return {}
        names = mapping(inner, f"{self.path}{key}", self.file)
        section = Section(inner, f"{self.path}{key}.", self.file, names)
        return {name: section.text(name) for name in names}

    def sections(self, key: str, known: Iterable[str]) -> list[Section]:
        """Return a list of mappings as sections; empty without the key."""
        known = tuple(known)
        return [
            Section(node, f"{self.path}{key}[{place}].", self.file, known, self.unsupported)
            for place, node in enumerate(self.items(key))
        ]

    def section(self, key: str, known: Iterable[str]) -> Section | None:
        """Return the mapping of a key as a section; None without the key."""
        node = self.values.get(key)
        return None if node is None else Section(node, f"{self.path}{key}.", self.file, known, self.unsupported)


def fail(file: str, line: int, key: str, why: str) -> NoReturn:
    """Raise a `ConfigFileError` about a value in a file; `why` is the cause with a remedy."""
    raise ConfigFileError(f"{file}: line {line}: {key}: {why}", key, why)


def items(value: Value) -> list[str]:
    """Return the items of a setting, which commas separate. Raise `SettingError` for an empty item, or one twice."""
    found = [one.strip() for one in value.text.split(",")] if value.text else []
    if "" in found:
        raise value.error("an empty item; remove the comma")
    if twice := [one for at, one in enumerate(found) if one in found[:at]]:
        raise value.error(f"{twice[0]} is given twice; remove one of them")
    return found


def is_list(node: Node) -> bool:
    """Return whether a YAML node is a list."""
    return node.kind == "seq"


def mapping(node: Node, path: str, file: str) -> Mapping[str, Node]:
    """Return the mapping of a YAML node; raise `ConfigFileError` for another kind of node."""
    if node.kind != "map":
        fail(file, node.line, path.rstrip(".") or "the file", "not a mapping; write KEY: VALUE lines")
    return cast("Mapping[str, Node]", node.value)


def boolean(text: str) -> bool:
    """Parse `true` or `false`; raise ValueError for any other text."""
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"invalid value '{text}'; write true or false")
    return text.lower() == "true"


def whole(text: str) -> int:
    """Parse a whole number; raise ValueError for any other text."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"invalid number '{text}'; write a whole number, for example 10000")
    return int(text)
