"""Loader of settings from the command line, the file and the environment, in this order of precedence."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from metricat_agent import __version__
from metricat_agent.collectors.option import variable_name
from metricat_agent.config import flags
from metricat_agent.config.durations import parse_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from metricat_agent.collectors import Collector
    from metricat_agent.collectors.option import Option

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_EPILOG = """Every setting can also be given in the file of --config.file, under the flag's name, or in an environment
variable: METRICAT_ and the name in capitals, with _ for . and -. A flag takes precedence over the file, and the file
over the environment. NODE_NAME in the environment gives the node's name, which a container cannot read itself."""
_SETTING = re.compile(r"METRICAT_(?!\w+_(?:SERVICE_HOST|(?:SERVICE_)?PORT)(?:_|$))")
"""Variables of the agent, without those that a kubelet sets for Services in the same namespace."""
_VARIABLE = re.compile(r"\$(\$?)\{(\w+)\}")


class SettingError(Exception):
    """A setting that cannot be used; the message names it and what to write instead."""


@dataclass(frozen=True, slots=True)
class Value:
    """The texts of one setting; ``written`` is the setting as the user wrote it, for messages."""

    texts: tuple[str, ...]
    written: str

    @property
    def text(self) -> str:
        """The only text, or the last one; empty without any."""
        return self.texts[-1] if self.texts else ""

    def error(self, why: str) -> SettingError:
        """Return the error for a value that cannot be used."""
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

    def explicit(self, name: str) -> Value | None:
        """Return the value of a setting that was given; None for a default."""
        return self._values.get(name)

    def get(self, name: str) -> Value:
        """Return the given value of a setting, or its default."""
        return self._values.get(name) or Value((self._defaults[name].default,), f"--{name}")

    def is_on(self, name: str) -> bool:
        """Return whether a switch is on."""
        value = self.get(name)
        if value.text.lower() in (*_TRUE, *_FALSE):
            return value.text.lower() in _TRUE
        raise value.error("not a boolean; write true or false")

    def number(self, name: str, least: float, most: float) -> float:
        """Return a number from ``least`` to ``most``."""
        value = self.get(name)
        try:
            number = float(value.text)
        except ValueError:
            number = least - 1
        return self._within(name, number, least, most)

    def seconds(self, name: str, least: float, most: float) -> float:
        """Return a number of seconds from ``least`` to ``most``."""
        value = self.get(name)
        try:
            number = parse_seconds(value.text)
        except ValueError as error:
            raise value.error(str(error)) from None
        return self._within(name, number, least, most)

    def _within(self, name: str, number: float, least: float, most: float) -> float:
        if not least <= number <= most:
            example = self._defaults[name].default
            raise self.get(name).error(f"not a number from {least:g} to {most:g}; write for example {example}")
        return number

    def choice(self, name: str) -> str:
        """Return the value, which must be one of the words that the setting accepts."""
        value, words = self.get(name), self._defaults[name].choices
        if value.text not in words:
            raise value.error(f"unknown value; write {', '.join(words[:-1])} or {words[-1]}")
        return value.text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise a one-line error instead of printing the usage to the terminal."""
        raise SettingError(_error_text(message, self._option_string_actions))


def _error_text(message: str, known: Iterable[str]) -> str:
    """Return the message for an error of argparse; hide the value of an unknown flag, which may be a secret."""
    if found := re.fullmatch(r"unrecognized arguments: (\S+).*", message, re.DOTALL):
        from difflib import get_close_matches  # noqa: PLC0415 -- needed only after a typing error

        name = found[1].partition("=")[0]
        near = "".join(f"did you mean {flag}? " for flag in get_close_matches(name, known, 1))
        return f"{name}: unknown setting; {near}--help lists all settings"
    if found := re.fullmatch(r"argument (\S+): ignored explicit argument '(.*)'", message, re.DOTALL):
        name = found[1].removeprefix("--no-").removeprefix("--")
        return f"{found[1]}={found[2]}: takes no value; write --{name} or --no-{name}"
    if found := re.fullmatch(r"argument (\S+): expected one argument", message):
        return f"{found[1]}: missing value; write {found[1]}=VALUE"
    return f"{message}; --help lists all settings"


class _FormerNames:
    """The former names of settings, and a message for each one in use."""

    def __init__(self, options: Iterable[Option]) -> None:
        self.current = {former: option.name for option in options for former in option.former_names}
        """Current names by former name."""
        self.messages: list[str] = []

    def replace(self, values: Mapping[str, Value], spelling: Callable[[str], str]) -> dict[str, Value]:
        """Return the values by current name; a value under the current name takes precedence."""
        former = [name for name in values if name in self.current]
        self.messages += [f"{spelling(name)} is deprecated; use {spelling(self.current[name])}" for name in former]
        by_former_name = {self.current[name]: values[name] for name in former}
        return {**by_former_name, **{name: values[name] for name in values if name not in self.current}}


def load(
    arguments: Sequence[str], environment: Mapping[str, str], table: Mapping[str, type[Collector]]
) -> tuple[RawSettings, bool]:
    """Return all values, and whether to print one scrape and exit; --help and --version print and exit."""
    options = {option.name: option for option in flags.all_options(table)}
    former = _FormerNames(options.values())
    given = vars(_parser(table).parse_args(arguments))
    once = given.pop("once")
    by_flag = former.replace(
        {name: _flag_value(name, text) for name, text in given.items() if text is not None}, lambda name: f"--{name}"
    )
    variables = {variable_name(name): name for name in (*options, *former.current)}
    by_variable = former.replace(
        {
            name: Value((environment[variable],), f"{variable}={environment[variable]}")
            for variable, name in variables.items()
            if variable in environment
        },
        variable_name,
    )
    by_file: dict[str, Value] = {}
    file = by_flag.get("config.file") or by_variable.get("config.file")
    if file and file.text:
        in_file = load_file(file, {*options, *former.current}, environment)
        by_file = former.replace(in_file, lambda name: f"{name} in {file.text}")
    return RawSettings(options, {**by_variable, **by_file, **by_flag}, former.messages), once


def unknown_variables(environment: Mapping[str, str], table: Mapping[str, type[Collector]]) -> list[str]:
    """Return the environment variables that start with METRICAT_ but are not settings."""
    options = flags.all_options(table)
    known = {variable_name(name) for option in options for name in (option.name, *option.former_names)}
    return sorted(name for name in environment if _SETTING.match(name) and name not in known)


def _flag_value(name: str, text: str | bool | list[str]) -> Value:  # noqa: FBT001 -- argparse returns a bool
    if isinstance(text, bool):
        return Value((str(text).lower(),), f"--{'' if text else 'no-'}{name}")
    texts = tuple(text) if isinstance(text, list) else (text,)
    return Value(texts, f"--{name}={','.join(texts)}")


def load_file(file: Value, known: Collection[str], environment: Mapping[str, str]) -> dict[str, Value]:
    """Return the settings of a YAML file by name; its keys are the known names, whole or nested at the dots."""
    import yaml  # noqa: PLC0415 -- 1 MiB of memory, needed only with such a file

    try:
        with open(file.text, encoding="utf-8") as opened:  # noqa: PTH123 -- all other paths are strings
            content = yaml.safe_load(opened)
        leaves = list(_flat(file, "", {} if content is None else content))
    except RecursionError:
        raise file.error("nested too deeply or recursively; write KEY: VALUE lines") from None
    except OSError as error:
        raise file.error(f"cannot be read: {error.strerror}; give the path of a file that the agent can read") from None
    except (ValueError, yaml.YAMLError) as error:
        why = getattr(error, "problem", None) or "not valid text"
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise file.error(f"invalid YAML: {why}{line}; write KEY: VALUE lines") from None
    found = {}
    for name, texts in leaves:
        where = f"{name} in {file.text}"
        setting = name.removesuffix(".enabled") if name.startswith("collector.") else name
        if setting not in known or setting == "config.file":
            raise SettingError(f"{where}: unknown setting; --help lists all settings; leave out the leading --")
        shown = f"{name}: {', '.join(texts)} in {file.text}" if texts else where
        found[setting] = Value(tuple(_expanded(text, shown, environment) for text in texts), shown)
    return found


def _flat(file: Value, prefix: str, content: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the leaves of nested mappings as texts; keys may also contain dots."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(file, f"{prefix}.{key}" if prefix else str(key), value)
    elif not prefix:
        raise file.error("not a mapping; write KEY: VALUE lines")
    else:
        texts = content if isinstance(content, list) else [content]
        yield prefix, tuple("" if text is None else str(text) for text in texts)


def _expanded(text: str, where: str, environment: Mapping[str, str]) -> str:
    """Replace ``${NAME}`` with the variable, and ``$${NAME}`` with ``${NAME}``; errors show the text before that."""

    def replacement(found: re.Match[str]) -> str:
        if found[1]:
            return f"${{{found[2]}}}"
        if found[2] not in environment:
            raise SettingError(
                f"{where}: {found[2]} is not set in the environment; set it, or write $${{{found[2]}}} for that text"
            )
        return environment[found[2]]

    return _VARIABLE.sub(replacement, text)


def _parser(table: Mapping[str, type[Collector]]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="metricat-agent",
        description="Expose the metrics of one node to Prometheus, under node_exporter's names.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"metricat-agent {__version__}")
    parser.add_argument("--once", action="store_true", help="print one scrape and exit")
    for option in flags.GENERAL:
        _add(parser, option)
    for name, collector in sorted(table.items()):
        group = parser.add_argument_group(f"collector {name}: {collector.summary}")
        for option in flags.collector_options(name, collector):
            _add(group, option)
    return parser


def _add(group: argparse._ActionsContainer, option: Option) -> None:
    """Add the flags of a setting; the help leaves out its former names."""
    default = f" ({option.default})".replace("%", "%%") if option.default else ""
    what = option.what.replace("%", "%%") + default
    metavar = "|".join(option.choices) or option.metavar
    for name in (option.name, *option.former_names):
        shown = what if name == option.name else argparse.SUPPRESS
        if not option.switch:
            action = "append" if option.many else "store"
            group.add_argument(f"--{name}", dest=name, action=action, metavar=metavar, help=shown)
            continue
        group.add_argument(f"--{name}", dest=name, action="store_true", default=None, help=shown)
        opposite = f"opposite of --{name}" if name == option.name else argparse.SUPPRESS
        group.add_argument(f"--no-{name}", dest=name, action="store_false", default=None, help=opposite)
