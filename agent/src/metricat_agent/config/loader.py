"""Where settings come from: the command line, then the file, then the environment; the first that names one wins."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from metricat_agent import __version__
from metricat_agent.config import flags

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metricat_agent.collectors import Collector
    from metricat_agent.collectors.option import Option

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_EPILOG = """Every setting may also stand in the file of --config.file, under the flag's name, or in the environment as
METRICAT_ and the name in capitals with _ for . and -; a flag outweighs the file, the file the environment. NODE_NAME in
the environment gives the node's name, which a container cannot see by itself."""
_SETTING = re.compile(r"METRICAT_(?!\w+_(?:SERVICE_HOST|(?:SERVICE_)?PORT)(?:_|$))")
"""Variables of ours, but for those that a kubelet sets for Services in the same namespace."""
_VARIABLE = re.compile(r"\$(\$?)\{(\w+)\}")


class SettingError(Exception):
    """A setting that cannot be used; the message says which, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Value:
    """What was said, and how: `where` is as the person wrote it, so that a message can show it."""

    texts: tuple[str, ...]
    where: str

    @property
    def text(self) -> str:
        """The only one, or the last."""
        return self.texts[-1] if self.texts else ""

    def error(self, why: str) -> SettingError:
        """Return the sentence for a value that cannot be used."""
        return SettingError(f"{self.where}: {why}")


class RawSettings:
    """The values of all settings, those that nobody gave by their defaults."""

    def __init__(self, defaults: Mapping[str, Option], values: Mapping[str, Value]) -> None:
        self._defaults = defaults
        self._values = values

    def named(self, name: str) -> Value | None:
        """Return what somebody said of a setting."""
        return self._values.get(name)

    def get(self, name: str) -> Value:
        """Return the value in force."""
        return self._values.get(name) or Value((self._defaults[name].default,), f"--{name}")

    def is_on(self, name: str) -> bool:
        """Return the value of a switch."""
        value = self.get(name)
        if value.text.lower() in (*_TRUE, *_FALSE):
            return value.text.lower() in _TRUE
        raise value.error("neither on nor off; write true or false")

    def number(self, name: str, least: float, most: float) -> float:
        """Return a number between two others."""
        value = self.get(name)
        try:
            number = float(value.text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise value.error(
                f"not a number from {least:g} to {most:g}; write one such as {self._defaults[name].default}"
            )
        return number

    def choice(self, name: str) -> str:
        """Return one of the words that the setting knows."""
        value, words = self.get(name), self._defaults[name].choices
        if value.text not in words:
            raise value.error(f"not one of the words it knows; write {', '.join(words[:-1])} or {words[-1]}")
        return value.text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Give a sentence to the caller instead of a page of usage to the terminal."""
        raise SettingError(_error_text(message, self._option_string_actions))


def _error_text(message: str, known: Iterable[str]) -> str:
    """Say in our words what argparse says; of what we do not know, a value may be a secret, and is not shown."""
    if found := re.fullmatch(r"unrecognized arguments: (\S+).*", message, re.DOTALL):
        from difflib import get_close_matches  # noqa: PLC0415 -- for those who mistyped

        name = found[1].partition("=")[0]
        near = "".join(f"did you mean {flag}? " for flag in get_close_matches(name, known, 1))
        return f"{name}: no such setting; {near}--help lists every one"
    if found := re.fullmatch(r"argument (\S+): ignored explicit argument '(.*)'", message, re.DOTALL):
        name = found[1].removeprefix("--no-").removeprefix("--")
        return f"{found[1]}={found[2]}: takes no value; write --{name} or --no-{name}"
    if found := re.fullmatch(r"argument (\S+): expected one argument", message):
        return f"{found[1]}: has no value; write {found[1]}=VALUE"
    return f"{message}; --help lists every one"


def load(
    arguments: Sequence[str], environment: Mapping[str, str], table: Mapping[str, type[Collector]]
) -> tuple[RawSettings, bool]:
    """Return all values, and whether one scrape is to be printed; --help and --version print and leave."""
    known = {option.name: option for option in flags.every(table)}
    given = vars(_parser(table).parse_args(arguments))
    once = given.pop("once")
    values = {name: _of_flag(known[name], said) for name, said in given.items() if said is not None}
    by_environment = {
        option.name: Value((environment[option.variable],), f"{option.variable}={environment[option.variable]}")
        for option in known.values()
        if option.variable in environment
    }
    chosen = values.get("config.file") or by_environment.get("config.file")
    by_file = of_file(chosen, known, environment) if chosen and chosen.text else {}
    return RawSettings(known, {**by_environment, **by_file, **values}), once


def unknown_variables(environment: Mapping[str, str], table: Mapping[str, type[Collector]]) -> list[str]:
    """Return the variables that look like settings and are none."""
    known = {option.variable for option in flags.every(table)}
    return sorted(name for name in environment if _SETTING.match(name) and name not in known)


def _of_flag(option: Option, said: str | bool | list[str]) -> Value:  # noqa: FBT001 -- as argparse has it
    if isinstance(said, bool):
        return Value((str(said).lower(),), f"--{'' if said else 'no-'}{option.name}")
    texts = tuple(said) if isinstance(said, list) else (said,)
    return Value(texts, f"--{option.name}={','.join(texts)}")


def of_file(file: Value, known: Mapping[str, Option], environment: Mapping[str, str]) -> dict[str, Value]:
    """Read the settings of a YAML file, whose keys are the flags' names, whole or cut at dots."""
    import yaml  # noqa: PLC0415 -- a MiB of memory, for those who have such a file

    try:
        with open(file.text, encoding="utf-8") as opened:  # noqa: PTH123 -- texts everywhere else
            content = yaml.safe_load(opened)
        leaves = list(_flat(file, "", {} if content is None else content))
    except RecursionError:
        raise file.error("nested too deep, or in itself; write KEY: VALUE lines") from None
    except OSError as error:
        raise file.error(f"cannot be read: {error.strerror}; name a file that the agent may read") from None
    except (ValueError, yaml.YAMLError) as error:
        why = getattr(error, "problem", None) or "no text"
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise file.error(f"cannot be read as YAML: {why}{line}; write KEY: VALUE lines") from None
    found = {}
    for name, texts in leaves:
        where = f"{name} in {file.text}"
        option = known.get(name.removesuffix(".enabled") if name.startswith("collector.") else name)
        if option is None or option.name == "config.file":
            raise SettingError(f"{where}: no such setting; --help lists every one, without the leading --")
        shown = f"{name}: {', '.join(texts)} in {file.text}" if texts else where
        found[option.name] = Value(tuple(_expanded(text, shown, environment) for text in texts), shown)
    return found


def _flat(file: Value, prefix: str, content: object) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the leaves of nested mappings, as texts; a mapping may also hold dotted keys."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _flat(file, f"{prefix}.{key}" if prefix else str(key), value)
    elif not prefix:
        raise file.error("not a mapping; write KEY: VALUE lines")
    else:
        texts = content if isinstance(content, list) else [content]
        yield prefix, tuple("" if text is None else str(text) for text in texts)


def _expanded(text: str, where: str, environment: Mapping[str, str]) -> str:
    """Put variables in the place of ``${NAME}``; ``$${NAME}`` stands for itself. Messages show the text before."""

    def of(found: re.Match[str]) -> str:
        if found[1]:
            return f"${{{found[2]}}}"
        if found[2] not in environment:
            raise SettingError(f"{where}: there is no {found[2]} in the environment; set it, or write $${{{found[2]}}}")
        return environment[found[2]]

    return _VARIABLE.sub(of, text)


def _parser(table: Mapping[str, type[Collector]]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="metricat-agent",
        description="Serves the metrics of one node to Prometheus, under node_exporter's names.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"metricat-agent {__version__}")
    parser.add_argument("--once", action="store_true", help="print one scrape and leave")
    for option in flags.GENERAL:
        _add(parser, option)
    for name, collector in sorted(table.items()):
        group = parser.add_argument_group(f"collector {name}: {collector.summary}")
        for option in flags.of_collector(name, collector):
            _add(group, option)
    return parser


def _add(group: argparse._ActionsContainer, option: Option) -> None:
    default = f" ({option.default})".replace("%", "%%") if option.default else ""
    what = option.what.replace("%", "%%") + default
    if option.switch:
        group.add_argument(f"--{option.name}", dest=option.name, action="store_true", default=None, help=what)
        group.add_argument(
            f"--no-{option.name}", dest=option.name, action="store_false", default=None, help="the opposite"
        )
        return
    metavar = "|".join(option.choices) or option.metavar
    action = "append" if option.many else "store"
    group.add_argument(f"--{option.name}", dest=option.name, action=action, metavar=metavar, help=what)
