"""Commands in the documentation parse, values of the chart exist, and so do the fields of a MonitoringTarget."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.flags import all_options
from metricat_cli import argparse_command, typer_command
from metricat_cli.commands import available
from metricat_cli.errors import CommandError
from metricat_tools.generate import chart_values
from support.paths import CHART, DOCS, ROOT

PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md"), CHART / "README.md"])
RECIPES = {DOCS / "contributing" / "chart-value.md", DOCS / "contributing" / "cli-command.md"}
"""Pages whose reader adds the value or the command."""

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^ {3,}(?:\$ )?((?:metricat|kubectl metricat|helm|kubectl|sudo) .*)$", re.MULTILINE)
_HERE = re.compile(r"(<<-?'?(\w+)'?[^\n]*\n).*?^ *\2$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_COMMENT = re.compile(r"(?<!\S)#.*")
_OPERATORS = re.compile(r"[;|&()\n]+")
_REDIRECT = re.compile(r"\d?[<>]+&?")
_ASSIGNMENT = re.compile(r"\w+=")
_PLACEHOLDER = re.compile(r"\.\.\.|…|^[A-Z][A-Z_/]+$")
_FILE = re.compile(r"\.(py|yaml|sqlite|crt|key|org)$")
_FIELD = re.compile(r"^spec(\.\w+(?:\[\w*\])?)+")
_OF_OTHER_KINDS = {
    "spec.alertmanagerConfigMatcherStrategy",  # Alertmanager
    "spec.alertmanagerConfigNamespaceSelector",
    "spec.alertmanagerConfigSelector",
    "spec.arbitraryFSAccessThroughSMs",  # Prometheus
    "spec.listenLocal",
    "spec.routePrefix",
    "spec.paused",
    "spec.retention",
    "spec.enforcedNamespaceLabel",
    "spec.excludedFromEnforcement",
    "spec.ruleSelector",
    "spec.serviceMonitorSelector",
    "spec.holderIdentity",  # LeaderFence
    "spec.template",  # DaemonSet
    "spec.dashboards",  # a rejected idea
}
"""Fields of other kinds that pages name."""


def name(page: Path) -> str:
    """Return the page's path in the checkout."""
    return str(page.relative_to(ROOT))


def commands(page: Path) -> Iterator[tuple[list[str], bool]]:
    """Yield the words of each simple command, with whether it is in a block: there, it is complete."""
    text = page.read_text()
    for _, language, code in _BLOCK.findall(text):
        if language == "console":
            code = "".join(f"{line[2:]}\n" for line in code.splitlines() if line.startswith("$ "))  # noqa: PLW2901
        if language in ("sh", "console"):
            yield from ((words, True) for words in simple_commands(code))
    outside = _BLOCK.sub("", text)
    for line in _INDENTED.findall(outside):
        yield from ((words, True) for words in simple_commands(line))
    for span in _SPAN.findall(outside):
        if re.match(r"(\S+/)?(metricat(-\w+)?|helm|kubectl metricat) -*[a-z]", span):
            yield from ((words, False) for words in simple_commands(span))


def simple_commands(code: str) -> Iterator[list[str]]:
    """Yield the words of each command of a shell script, without assignments, redirects and here-documents."""
    script = _without_comments(_HERE.sub(r"\1", code).replace("\\\n", " "))
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";|&<>()\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    words: list[str] = []
    skip = False
    for word in lexer:
        if _REDIRECT.fullmatch(word):
            skip = True
        elif _OPERATORS.match(word):
            yield from filter(None, [_program(words)])
            words = []
        elif skip:
            skip = False
        else:
            words.append(word)
    yield from filter(None, [_program(words)])


def _without_comments(script: str) -> str:
    """Remove the comments of a script: `#` in a quoted text begins none."""
    kept = ""
    for line in script.splitlines(keepends=True):
        found = _COMMENT.search(line)
        before = kept + line[: found.start()] if found else ""
        quoted = before.count("'") % 2 or before.count('"') % 2
        kept += f"{line[: found.start()]}\n" if found and not quoted else line
    return kept


def _program(words: list[str]) -> list[str]:
    """Return a command without what precedes the program: assignments, `sudo` and the path."""
    while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("sudo", "do", "then", "!")):
        words = words[1:]
    if words[:2] == ["kubectl", "metricat"]:
        words = words[1:]
    return [words[0].rpartition("/")[2], *words[1:]] if words else []


def error_of(words: list[str], *, complete: bool) -> str:
    """Return what is wrong with a command; empty if nothing is, or it is a program of others."""
    program, *arguments = words
    if program == "metricat":
        return _metricat(arguments, complete=complete)
    if program in ("metricat-agent", "metricat-hub"):
        if program == "metricat-hub":
            return _metricat(["hub", *arguments], complete=complete)
        known = {option.name for option in all_options(COLLECTORS)}
        flags = [word.removeprefix("--").partition("=")[0] for word in arguments if word.startswith("--")]
        return "".join(
            f"no flag --{one}. " for one in flags if one not in known and one.removeprefix("no-") not in known
        )
    if program == "helm" and any("metricat" in word for word in arguments):
        return "".join(f"no value {path}. " for path in set_values(arguments) if not is_value(path))
    return ""


def _metricat(arguments: list[str], *, complete: bool) -> str:
    if not arguments or arguments[0] in ("COMMAND", "--help", "--version", "-h"):
        return ""
    command, *rest = arguments
    if command not in available():
        return f"no command {command}"
    module = available()[command]()
    complete = complete and not any(_PLACEHOLDER.search(word) for word in rest)
    if hasattr(module, "command"):
        return _typer_error(typer_command.build(module, command), rest, complete=complete)
    parser = argparse_command.parser(module, command, "metricat")
    try:
        _, unknown = parser.parse_known_args(rest)
    except CommandError as error:
        incomplete = "required" in str(error) or "expected" in str(error)
        return "" if incomplete and not complete else str(error)
    return f"no argument {unknown}" if unknown else ""


def _typer_error(command: Any, arguments: list[str], *, complete: bool) -> str:
    """Return the error of the arguments: of a complete command also missing ones and invalid values."""
    context = command.context_class(command, info_name=command.name)
    try:
        if complete:
            command.parse_args(context, list(arguments))
        else:
            command.make_parser(context).parse_args(list(arguments))
    except CommandError as error:
        return str(error)
    except typer.TyperException as error:
        text = str(error.format_message())
        return "" if "requires an argument" in text and not complete else text
    return ""


def set_values(arguments: list[str]) -> Iterator[str]:
    """Yield the paths that the flags `--set...` of Helm name."""
    for index, word in enumerate(arguments):
        flag, equal, value = word.partition("=")
        if flag in ("--set", "--set-string", "--set-json", "--set-file"):
            text = value if equal else arguments[index + 1]
            pairs = [text] if flag == "--set-json" else re.split(r",(?![^{]*})", text)
            yield from (pair.partition("=")[0] for pair in pairs)


@cache
def _schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def is_value(path: str) -> bool:
    """Return whether the chart has a value, or a map with free keys that may hold it."""
    schema = _schema()
    definitions = schema["$defs"]
    for key in re.split(r"(?<!\\)\.", re.sub(r"\[\d*\]", "", path)):
        inner = {**chart_values.referenced(schema, definitions), **schema}
        if "properties" not in inner:
            return True
        if key not in inner["properties"]:
            return False
        schema = inner["properties"][key]
    return True


def named_values(page: Path) -> Iterator[str]:
    """Yield the values of the chart that a page names in its text, as `operator.replicas` or `hub.enabled=true`."""
    tops = "|".join(_schema()["properties"])
    for span in _SPAN.findall(_BLOCK.sub("", page.read_text())):
        if found := not _FILE.search(span) and re.fullmatch(rf"((?:{tops})(?:\.[a-zA-Z]+)+)(?:=\S+|: .+)?", span):
            yield found[1]


@cache
def _spec() -> Mapping[str, Any]:
    [path] = (ROOT / "crds").glob("*monitoringtargets.yaml")
    [version] = yaml.safe_load(path.read_text())["spec"]["versions"]
    found: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return found


def is_field(path: str) -> bool:
    """Return whether a MonitoringTarget has a field, such as `spec.pools[].agent.port`."""
    schema: Mapping[str, Any] = {"properties": _spec()}
    for key in re.sub(r"\[\w*\]", "", path).split("."):
        while "items" in schema:
            schema = schema["items"]
        if isinstance(schema.get("additionalProperties"), Mapping):
            schema = schema["additionalProperties"]
        elif key in schema.get("properties", {}):
            schema = schema["properties"][key]
        else:
            return False
    return True


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RECIPES], ids=name)
def test_commands_of_a_page_parse(page: Path) -> None:
    found = [(words, error) for words, complete in commands(page) if (error := error_of(words, complete=complete))]
    assert found == []


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RECIPES], ids=name)
def test_values_of_the_chart_that_a_page_names_exist(page: Path) -> None:
    assert sorted({path for path in named_values(page) if not is_value(path)}) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_fields_of_a_monitoring_target_that_a_page_names_exist(page: Path) -> None:
    spans = _SPAN.findall(_BLOCK.sub("", page.read_text()))
    fields = {found[0] for span in spans if (found := _FIELD.match(span))}
    other = {field for field in fields if any(f"{field}.".startswith(f"{one}.") for one in _OF_OTHER_KINDS)}
    assert sorted(field for field in fields - other if not is_field(field)) == []


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("metricat status -n monitoring | cat", ""),
        ("metricat statuss", "no command statuss"),
        ("metricat status --namespac x", "No such option"),
        ("/opt/bin/metricat validate --strict a.yaml", ""),
        ("kubectl metricat top nodes --nod a", "No such option"),
        ("metricat up --listen=:1 --no-such.flag=1", "no-such.flag"),
        ("metricat hub keys creat", "creat"),
        ("metricat-agent --push.ur=x", "no flag --push.ur"),
        ("helm install metricat charts/metricat --set operator.replica=2", "no value operator.replica. "),
        ("helm install metricat x --set hub.settings.query\\\\.timeout=1m,operator.extraArgs={--a,--b}", ""),
        ("helm install other chart --set a.b=2", ""),
    ],
)
def test_a_wrong_command_is_found(code: str, error: str) -> None:
    [*_, words] = [words for words in simple_commands(code) if words[0] != "cat"]
    assert error in error_of(words, complete=True)
    assert bool(error) == bool(error_of(words, complete=True))


def test_a_wrong_field_is_found() -> None:
    assert all(map(is_field, ("spec.agent.port", "spec.pools[].agent.port")))
    assert not any(map(is_field, ("spec.agent.prot", "spec.pool", "spec.pools[].agent.prot")))
