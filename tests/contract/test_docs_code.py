"""Code blocks of the documentation are valid: YAML, MonitoringTargets, values of the chart, shell, JSON and PromQL."""

import json
import re
import subprocess
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.promql import parser
from metricat_operator.api.parse import parse
from metricat_tools.generate.chart import helm
from support.paths import CHART, DOCS, ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")])

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_HERE = re.compile(r"<<'?(\w+)'?\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"\.\.\.|…|<[a-z]+>|\{\{[- ]")
"""Marks a block that is shortened or a template: no program reads it as it is."""


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and text of each code block without placeholders, and of the documents inside shell blocks."""
    for _, language, text in _BLOCK.findall(page.read_text()):
        code = textwrap.dedent(text)
        if language == "sh":
            yield from (("yaml", document) for _, document in _HERE.findall(code) if ": " in document)
        if language == "sh" or not _PLACEHOLDER.search(code):
            yield language, code


@cache
def _values() -> frozenset[str]:
    return frozenset(yaml.safe_load((CHART / "values.yaml").read_text()))


def yaml_errors(text: str) -> Iterator[str]:
    """Yield what is wrong with a YAML block: its syntax, a MonitoringTarget in it, or values of the chart."""
    for document in yaml.safe_load_all(text):
        if not isinstance(document, Mapping):
            continue
        if document.get("kind") == "MonitoringTarget" or set(document) == {"spec"}:
            yield from target_errors(document["spec"])
        elif set(document) <= _values():
            yield from values_errors(document)


def target_errors(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the errors and warnings of a spec."""
    parsed = parse(spec)
    yield from parsed.errors
    yield from parsed.warnings


def values_errors(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the error of the chart about these values, with valid images."""
    required = ["--set=image.operator.repository=registry.example/operator", "--set=hub.web.insecure=true"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        done = helm("template", "metricat", CHART, "--namespace=monitoring", *required, f"--values={file.name}")
    if done.returncode:
        yield done.stderr


def shell_errors(text: str) -> Iterator[str]:
    """Yield the syntax error of a shell block."""
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stderr


def json_errors(text: str) -> Iterator[str]:
    """Yield the error of a JSON block: one document, or one in each line."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        for line in text.splitlines():
            try:
                json.loads(line)
            except json.JSONDecodeError:
                yield str(error)
                return


def promql_errors(text: str) -> Iterator[str]:
    """Yield the errors of a PromQL block: one query, or one in each line. Listings of recorded series are generated."""
    if " =\n" in text:
        return
    queries = [line for line in text.splitlines() if line and not line.startswith("#")]
    try:
        parser.parse("\n".join(queries))
    except InvalidQueryError:
        for query in queries:
            try:
                parser.parse(query)
            except InvalidQueryError as error:
                yield str(error)


CHECKS: dict[str, Callable[[str], Iterator[str]]] = {
    "yaml": yaml_errors,
    "sh": shell_errors,
    "json": json_errors,
    "promql": promql_errors,
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_blocks_are_valid(page: Path) -> None:
    found = [
        f"{error}\n{text}"
        for language, text in blocks(page)
        if (check := CHECKS.get(language))
        for error in check(text)
    ]
    assert found == []
