"""Loader of settings from the command line, the file and the environment, in this order of precedence."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, TypeVar

from metricat_agent.collectors.option import Option, parse_boolean, parse_decimal, parse_whole, variable_name
from metricat_agent.config.durations import parse_seconds
from metricat_agent.config.hints import nearest
from metricat_agent.config.masking import without_users

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from metricat_agent.config.yaml_text import Node

__all__ = ["Option", "Program", "RawSettings", "SettingError", "Value", "add_flags", "load", "new_parser"]

_OF_SERVICE = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT")
"""Suffixes of the variables that a kubelet sets for a Service in the same namespace, after the Service's name."""
_VARIABLE = re.compile(r"\$(\$?)\{(\w+)\}")
T = TypeVar("T")


class SettingError(Exception):
    """A setting is invalid. The message is one line with the setting, its value and the remedy.

    Users and passwords in URLs are masked: messages go to logs.
    """

    def __init__(self, message: str) -> None:
        shown = without_users(message)
        super().__init__("".join(char if char.isprintable() else ascii(char)[1:-1] for char in shown))


@dataclass(frozen=True, slots=True)
class Program:
    """The settings of one program, with their names on the command line, in the file and in the environment."""

    name: str
    version: str
    description: str
    epilog: str
    groups: Sequence[tuple[str, Sequence[Option]]]
    """The settings by group, each with its title; the first group has none."""
    prefix: str = "METRICAT_"
    """The prefix of its environment variables."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables, with the setting that each one gives. The variable with the prefix wins."""
    sections: Sequence[str] = ()
    """Keys of the file that are not settings, whole with dots. Other code reads them."""

    @property
    def options(self) -> dict[str, Option]:
        """All settings by name."""
        return {option.name: option for _, options in self.groups for option in options}

    def variable(self, name: str) -> str:
        """Return the name of a setting's environment variable."""
        return variable_name(name, self.prefix)


@dataclass(frozen=True, slots=True)
class Value:
    """The texts of one setting; ``written`` is the setting as the user wrote it, for messages."""

    texts: tuple[str, ...]
    written: str

    @property
    def text(self) -> str:
        """The text of the setting: the last one if it has several, empty if it has none."""
        return self.texts[-1] if self.texts else ""

    def error(self, why: str) -> SettingError:
        """Return the error for this value, which cannot be used; ``why`` is the reason and the remedy."""
        return SettingError(f"{self.written}: {why}")


class RawSettings:
    """The texts of all settings, with defaults for those that were not given."""

    def __init__(
        self, defaults: Mapping[str, Option], values: Mapping[str, Value], deprecations: Sequence[str] = ()
    ) -> None:
        self._defaults = defaults
        self._values = values
        self.deprecations = tuple(deprecations)
        """A message for each setting that was given by a former name."""
        for name, value in values.items():
            _check_texts(defaults[name], value)

    def explicit(self, name: str) -> Value | None:
        """Return the value of a setting that was given; None for a default."""
        return self._values.get(name)

    def get(self, name: str) -> Value:
        """Return the given value of a setting, or its default."""
        return self._values.get(name) or Value((self._defaults[name].default,), f"--{name}")

    def is_on(self, name: str) -> bool:
        """Return whether a switch is on."""
        return self._parsed(name, parse_boolean)

    def whole(self, name: str, least: int, most: int) -> int:
        """Return a setting as a whole number; raise `SettingError` if it is not from ``least`` to ``most``."""
        return self._parsed(name, lambda text: parse_whole(text, least, most, self._defaults[name].default))

    def number(self, name: str, least: float, most: float) -> float:
        """Return a setting as a decimal number; raise `SettingError` if it is not from ``least`` to ``most``."""

        def parse(text: str) -> float:
            try:
                number = parse_decimal(text)
            except ValueError:
                number = least - 1
            return self._within(name, number, least, most)

        return self._parsed(name, parse)

    def seconds(self, name: str, least: float, most: float) -> float:
        """Return the value of a setting in seconds; raise `SettingError` if it is not from ``least`` to ``most``."""
        return self._parsed(name, lambda text: self._within(name, parse_seconds(text), least, most))

    def _parsed(self, name: str, parse: Callable[[str], T]) -> T:
        value = self.get(name)
        try:
            return parse(value.text)
        except ValueError as error:
            raise value.error(str(error)) from None

    def _within(self, name: str, number: float, least: float, most: float) -> float:
        if not least <= number <= most:
            example = self._defaults[name].default
            raise ValueError(f"not a number from {least:g} to {most:g}; write for example {example}")
        return number

    def choice(self, name: str) -> str:
        """Return a setting in lower case; raise `SettingError` if it is not one of its ``choices``."""
        value, words = self.get(name), self._defaults[name].choices
        if value.text.lower() not in words:
            raise value.error(f"unknown value; write {', '.join(words[:-1])} or {words[-1]}")
        return value.text.lower()


def _check_texts(option: Option, value: Value) -> None:
    """Reject several values of a setting that takes one, and equal or empty values among several."""
    different = set(value.texts)
    if not option.many and len(different) > 1:
        raise value.error("different values of a setting that takes one; give one of them")
    if option.many and len(different) < len(value.texts):
        raise value.error("one of the values is given twice; remove one of them")
    if len(different) > 1 and "" in different:
        raise value.error("an empty value among others; remove it")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise a one-line error instead of printing the usage to the terminal."""
        raise SettingError(_error_text(message, self._option_string_actions))


def _error_text(message: str, known: Iterable[str]) -> str:
    """Return the message for an error of argparse; hide the value of an unknown flag, which may be a secret."""
    if found := re.fullmatch(r"unrecognized arguments: (\S+).*", message, re.DOTALL):
        return _unknown(found[1].partition("=")[0], known)
    if found := re.fullmatch(r"argument (\S+): ignored explicit argument '(.*)'", message, re.DOTALL):
        name = found[1].removeprefix("--no-").removeprefix("--")
        return f"{found[1]}={found[2]}: takes no value; write --{name} or --no-{name}"
    if found := re.fullmatch(r"argument (\S+): expected one argument", message):
        return f"{found[1]}: missing value; write {found[1]}=VALUE"
    return f"{message}; --help lists all settings"


def _unknown(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    hint = f"did you mean {near}? " if near else ""
    return f"{name}: unknown setting; {hint}--help lists all settings"


class _FormerNames:
    """The former names of settings, and a message for each one in use."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.current = {former: option.name for option in options for former in option.former_names}
        """Current names by former name."""
        self.messages: list[str] = []

    def replace(self, values: Mapping[str, Value], spelling: Callable[[str], str]) -> dict[str, Value]:
        """Return the values by current name; raise `SettingError` for different values under two names."""
        found = {name: value for name, value in values.items() if name not in self.current}
        for name in (name for name in values if name in self.current):
            current = self.current[name]
            self.messages.append(f"{spelling(name)} is deprecated; use {spelling(current)}")
            if current in found and found[current].texts != values[name].texts:
                raise values[name].error(f"cannot be combined with {found[current].written}; remove {spelling(name)}")
            found.setdefault(current, values[name])
        return found


def load(
    given: Mapping[str, list[str] | list[bool] | None], environment: Mapping[str, str], program: Program
) -> RawSettings:
    """Return all settings; raise `SettingError` for invalid ones. `given` has the flags, as parsed with `add_flags`."""
    options = program.options
    former = _FormerNames(options.values())
    known = {name: option for option in options.values() for name in (option.name, *option.former_names)}
    by_flag = former.replace(
        {name: _flag_value(known[name], name, texts) for name, texts in given.items() if texts is not None},
        lambda name: f"--{name}",
    )
    variables = {**program.aliases, **{program.variable(name): name for name in known}}
    by_variable = former.replace(
        {
            name: _variable_value(known[name], variable, environment[variable])
            for variable, name in variables.items()
            if variable in environment
        },
        program.variable,
    )
    by_file: dict[str, Value] = {}
    file = by_flag.get("config.file") or by_variable.get("config.file")
    if file and file.text:
        in_file = load_file(file, known, environment, program.sections)
        by_file = former.replace(in_file, lambda name: f"{name} in {file.text}")
    return RawSettings(options, {**by_variable, **by_file, **by_flag}, former.messages)


def unknown_variables(environment: Mapping[str, str], program: Program) -> dict[str, str]:
    """Return the environment variables with the program's prefix that are not settings.

    Each has the most similar variable of a setting, or an empty text.
    Variables that a kubelet sets for a Service in the same namespace are left out.
    """
    options = program.options.values()
    known = {program.variable(name) for option in options for name in (option.name, *option.former_names)}
    unknown = sorted(name for name in environment if name.startswith(program.prefix) and name not in known)
    services = [name.removesuffix("_SERVICE_HOST") for name in environment if name.endswith("_SERVICE_HOST")]
    ignored = tuple(service + ending for service in services for ending in _OF_SERVICE)
    return {name: nearest(name, known) for name in unknown if not name.startswith(ignored)}


def _variable_value(option: Option, variable: str, text: str) -> Value:
    return Value((text,), variable if option.secret else f"{variable}={text}")


def _flag_value(option: Option, name: str, given: list[str] | list[bool]) -> Value:
    """Return the value of a flag; raise `SettingError` for a switch that is turned both on and off."""
    if isinstance(given[0], bool):
        if len(set(given)) > 1:
            raise SettingError(f"--{name}: cannot be combined with --no-{name}; remove one of them")
        return Value((str(given[0]).lower(),), f"--{'' if given[0] else 'no-'}{name}")
    texts = tuple(map(str, given))
    return Value(texts, f"--{name}" if option.secret else f"--{name}={','.join(texts)}")


def load_file(
    file: Value, known: Mapping[str, Option], environment: Mapping[str, str], sections: Sequence[str] = ()
) -> dict[str, Value]:
    """Return the settings of a YAML file by name; raise `SettingError` if it cannot be read or has an invalid key.

    The keys are the known names, whole or nested at the dots. The name of a switch may also end in ``.enabled``. The
    keys in `sections` are left out.
    """
    from metricat_agent.config.yaml_text import YamlError, read_file  # noqa: PLC0415 -- imports yaml

    try:
        root = read_file(file.text)
        leaves = [] if root is None or root.is_null else list(_flat(file, "", root, sections))
    except RecursionError:
        raise file.error("nested too deeply or recursively; write KEY: VALUE lines") from None
    except YamlError as error:
        raise file.error(str(error)) from None
    found: dict[str, Value] = {}
    lines: dict[str, int] = {}
    for name, node in leaves:
        where = f"{file.text}, line {node.line}"
        switch = name.removesuffix(".enabled")
        setting = switch if switch in known and known[switch].switch else name
        if setting not in known or setting == "config.file":
            near = nearest(name, (option for option in known if option != "config.file"))
            hint = f"did you mean {near}? " if near else ""
            raise Value((), f"{name} in {where}").error(
                f"unknown setting; {hint}--help lists all settings; write their names without --"
            )
        if setting in found:
            raise Value((), f"{name} in {where}").error(
                f"the setting is given in line {lines[setting]} too; remove one of them"
            )
        lines[setting] = node.line
        found[setting] = _file_value(name, where, node, known[setting], environment)
    return found


def _flat(file: Value, prefix: str, node: Node, ignored: Sequence[str] = ()) -> Iterator[tuple[str, Node]]:
    """Yield the leaves of nested mappings, except below ignored names; keys may also contain dots."""
    if isinstance(node.value, dict):
        if prefix and not node.value:
            where = f"{prefix} in {file.text}, line {node.line}"
            raise SettingError(f"{where}: an empty mapping; write a value or remove the key")
        for key, value in node.value.items():
            name = f"{prefix}.{key}" if prefix else key
            if name not in ignored:
                yield from _flat(file, name, value, ignored)
    elif not prefix:
        raise file.error("not a mapping; write KEY: VALUE lines")
    else:
        yield prefix, node


def _file_value(name: str, where: str, node: Node, option: Option, environment: Mapping[str, str]) -> Value:
    """Return the value of one key; raise `SettingError` if it cannot be the text or the texts of the setting."""
    items = node.value if isinstance(node.value, list) else [node]
    texts = [item.value for item in items if isinstance(item.value, str)]
    shown = any(texts) and not option.secret
    written = f"{name}: {', '.join(texts)} in {where}" if shown else f"{name} in {where}"
    value = Value(tuple(texts), written)
    if not items:
        raise value.error("an empty list; write at least one value, or remove the key")
    if isinstance(node.value, list) and not option.many:
        raise value.error("a list, but the setting takes one value; write that value")
    if len(texts) < len(items):
        raise value.error("a list or a mapping inside a list; write one text for each item")
    if any(item.is_null for item in items):
        raise value.error("no value; write one, or remove the key; '' is an empty text")
    if not option.switch and any(item.kind == "bool" for item in items):
        raise value.error("a boolean, but the setting is not a switch; write its value, or put the word in quotes")
    return Value(tuple(expanded(text, written, environment) for text in texts), written)


def expanded(text: str, where: str, environment: Mapping[str, str]) -> str:
    """Replace ``${NAME}`` with the environment variable, and ``$${NAME}`` with ``${NAME}``.

    Raise `SettingError`, whose message begins with ``where``, for a variable that is not set.
    """

    def replacement(found: re.Match[str]) -> str:
        if found[1]:
            return f"${{{found[2]}}}"
        if found[2] not in environment:
            raise SettingError(
                f"{where}: {found[2]} is not set in the environment; set it, or write $${{{found[2]}}} for that text"
            )
        return environment[found[2]]

    return _VARIABLE.sub(replacement, text)


def new_parser(program: Program) -> argparse.ArgumentParser:
    """Return a parser with only --help and --version. For invalid arguments, it raises `SettingError`."""
    parser = _Parser(prog=program.name, description=program.description, epilog=program.epilog, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program.name} {program.version}")
    return parser


def add_flags(parser: argparse.ArgumentParser, program: Program) -> None:
    """Add the flags of all settings of the program to the parser."""
    for title, options in program.groups:
        group = parser.add_argument_group(title) if title else parser
        for option in options:
            _add(group, option)


def _add(group: argparse._ActionsContainer, option: Option) -> None:
    """Add the flags of a setting; the help leaves out its former names."""
    default = f" ({option.default})".replace("%", "%%") if option.default else ""
    what = option.what.replace("%", "%%") + default
    metavar = "|".join(option.choices) or option.metavar
    for name in (option.name, *option.former_names):
        shown = what if name == option.name else argparse.SUPPRESS
        if not option.switch:
            group.add_argument(f"--{name}", dest=name, action="append", metavar=metavar, help=shown)
            continue
        group.add_argument(f"--{name}", dest=name, action="append_const", const=True, help=shown)
        opposite = f"opposite of --{name}" if name == option.name else argparse.SUPPRESS
        group.add_argument(f"--no-{name}", dest=name, action="append_const", const=False, help=opposite)
