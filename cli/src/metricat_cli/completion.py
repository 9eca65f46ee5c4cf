"""Completion of command lines: commands, options, and live names of the cluster.

Two programs use it. `metricat completion` prints a script for a shell, which calls `metricat __complete`. kubectl calls
`kubectl_complete-metricat`, whose output has the format of cobra.
"""

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from metricat_cli.commands import available, summaries
from metricat_cli.errors import CommandError

_SECONDS = 3.0
"""Time limit of a request: a shell waits for it."""
_NO_FILES, _FILES = ":4", ":0"
"""Cobra's directives after the completions: none else, or names of files too."""


@dataclass(frozen=True)
class Completion:
    """The completions of a word, with descriptions, and whether names of files are completions too."""

    words: Sequence[tuple[str, str]] = ()
    files: bool = False


@dataclass(frozen=True)
class _Option:
    """An option of a command: its names, its value's placeholder (empty: a switch), and its help."""

    names: Sequence[str]
    metavar: str = ""
    help: str = ""


@dataclass(frozen=True)
class _Command:
    """The options of a command, and the placeholder of its arguments."""

    options: Sequence[_Option]
    argument: str = ""
    choices: Sequence[str] = field(default_factory=tuple)


def kubectl() -> int:
    """Complete the arguments of `kubectl metricat`, as kubectl calls it; return the exit status."""
    show(sys.argv[1:])
    return 0


def show(words: Sequence[str]) -> None:
    """Print the completions of the last word in cobra's format."""
    found = complete(words)
    lines = [f"{word}\t{text}" if text else word for word, text in found.words]
    print("\n".join([*lines, _FILES if found.files else _NO_FILES]))  # noqa: T201 -- the output


def complete(words: Sequence[str]) -> Completion:
    """Return the completions of the last word; the words before it are complete."""
    *before, prefix = words or [""]
    if not before:
        return _matching(prefix, summaries().items())
    load = available().get(before[0])
    try:
        return _of_command(_described(load(), before[0]), before, prefix) if load else Completion()
    except CommandError:
        return Completion()


def _of_command(command: _Command, before: Sequence[str], prefix: str) -> Completion:
    """Return the options, values or arguments of a command that begin with the prefix."""
    taken = {name: one for one in command.options for name in one.names}
    option, equals, value = prefix.partition("=")
    if equals and option in taken:
        found = _values(taken[option], value, before)
        return Completion([(f"{option}={word}", text) for word, text in found.words], found.files)
    last = taken.get(before[-1]) if len(before) > 1 else None
    if last and last.metavar:
        return _values(last, prefix, before)
    if prefix.startswith("-"):
        return _matching(prefix, ((one.names[-1], one.help) for one in command.options))
    if command.argument == "NAME":
        return _matching(prefix, _live(before, _targets))
    found = _matching(prefix, ((one, "") for one in command.choices))
    return Completion(found.words, files=command.argument.startswith("FILE"))


def _described(module: Any, name: str) -> _Command:
    """Return the options and arguments of a command, of Typer or of argparse."""
    if not hasattr(module, "command"):
        return _of_argparse(module, name)
    from metricat_cli.typer_command import build  # noqa: PLC0415 -- Typer takes 0.1 s of CPU time

    options, argument = [], ""
    for one in build(module, name).params:
        if one.param_type_name == "argument":
            argument = str(one.metavar)
        else:
            options.append(_Option(one.opts, "" if one.is_flag else str(one.metavar or "VALUE"), str(one.help)))
    options.append(_Option(("-h", "--help"), "", "show the help"))
    choices = argument.split("|") if "|" in argument else []
    return _Command(options, argument, choices)


def _of_argparse(module: Any, name: str) -> _Command:
    from metricat_cli.argparse_command import parser  # noqa: PLC0415 -- only for commands of other packages

    options, choices = [], []
    for action in parser(module, name, "metricat")._actions:  # noqa: SLF001 -- argparse has no public list
        if action.option_strings:
            metavar = "" if action.nargs == 0 else str(action.metavar or "VALUE")
            options.append(_Option(action.option_strings, metavar, str(action.help or "").partition("(")[0].strip()))
        elif action.choices:
            choices += list(action.choices)
    return _Command(options, choices=choices)


def _values(option: _Option, prefix: str, before: Sequence[str]) -> Completion:
    """Return the values of an option."""
    name = option.names[-1]
    if option.metavar == "FILE":
        return Completion(files=True)
    if name in _LIVE:
        return _matching(prefix, _live(before, _LIVE[name]))
    if name == "--context":
        return _matching(prefix, ((one, "") for one in _contexts(before)))
    if name in ("--output", "--sort"):
        words = re.findall(r"[a-z]+", re.sub(r"\w+:| or ", " ", option.help))
        return _matching(prefix, ((one, "") for one in dict.fromkeys(words)))
    return Completion()


def _matching(prefix: str, words: Iterable[tuple[str, str]]) -> Completion:
    return Completion([(word, text) for word, text in words if word.startswith(prefix)])


def _given(before: Sequence[str], *names: str) -> str:
    """Return the value of an option in the words before the last one."""
    for place, word in enumerate(before):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(before[place + 1 :]), "")
    return ""


def _live(before: Sequence[str], read: Callable[[Any, str], list[str]]) -> list[tuple[str, str]]:
    """Return names of objects of the cluster; none if it does not respond in time."""
    from metricat_cli.cluster.api_server import connect  # noqa: PLC0415 -- imports ssl

    try:
        api = connect(_given(before, "--kubeconfig"), _given(before, "--context"), _given(before, "--as"), _SECONDS)
        try:
            return [(name, "") for name in read(api, _given(before, "-n", "--namespace"))]
        finally:
            api.close()
    except CommandError:
        return []


def _namespaces(api: Any, _: str) -> list[str]:
    return [one["metadata"]["name"] for one in api.list("/api/v1/namespaces")]


def _nodes(api: Any, _: str) -> list[str]:
    return [one["metadata"]["name"] for one in api.list("/api/v1/nodes")]


def _targets(api: Any, namespace: str) -> list[str]:
    from metricat_cli import targets  # noqa: PLC0415 -- as above

    return [one.name for one in targets.find(api, namespace or api.credentials.namespace)]


def _contexts(before: Sequence[str]) -> list[str]:
    from metricat_cli.cluster.kubeconfig import contexts  # noqa: PLC0415 -- imports PyYAML

    try:
        return contexts(os.environ, _given(before, "--kubeconfig"))
    except CommandError:
        return []


_LIVE: dict[str, Callable[[Any, str], list[str]]] = {"--namespace": _namespaces, "--node": _nodes}
"""Options whose values are names of objects."""
