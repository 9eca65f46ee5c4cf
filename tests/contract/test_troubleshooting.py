"""Every condition type and every reason is in the registry, and docs/troubleshooting.md has a row for each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from metricat_operator.conditions import ConditionType, Group, Reason
from metricat_operator.conditions.condition import Condition
from metricat_operator.conditions.reasons import FORMER_REASONS
from metricat_operator.conditions.types import FORMER_TYPES
from metricat_tools.generate import condition_tables
from support.paths import ROOT

OPERATOR = ROOT / "operator" / "src" / "metricat_operator"
PAGE = ROOT / "docs" / "troubleshooting.md"
REGISTRY = OPERATOR / "conditions"
OF_OTHER_OBJECTS = {
    ("cluster/pods.py", "Ready"),  # the condition of a pod
    ("cluster/node_index.py", "Ready"),  # the condition of a node
    ("cluster/cluster_cache.py", "Ready"),  # the condition of a node
    ("cluster/prometheus_objects.py", "Ready"),
    ("cluster/prometheus_objects.py", "Accepted"),  # the condition that the Prometheus Operator writes
}
"""By module: literals that are values of Kubernetes in other objects, and not our reasons."""


def literals(path: Path) -> Iterator[str]:
    """Yield the string constants of a module, also those in f-strings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_module_repeats_a_name_of_the_registry() -> None:
    names = {str(one) for one in (*ConditionType, *Reason)} | FORMER_TYPES.keys() | FORMER_REASONS.keys()
    found = {
        (str(path.relative_to(OPERATOR)), word)
        for path in OPERATOR.rglob("*.py")
        if REGISTRY not in path.parents
        for word in literals(path)
        if word in names
    }
    assert sorted(found - OF_OTHER_OBJECTS) == []


def test_page_has_every_table_once() -> None:
    assert sorted(condition_tables.tables(PAGE.read_text())) == sorted(condition_tables.TABLES)


def test_page_is_generated() -> None:
    page = PAGE.read_text()
    assert page == condition_tables.page(page), "run: make generate"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_row(reason: Reason) -> None:
    page = PAGE.read_text()
    assert reason.notes
    for note in reason.notes:
        if note.where in condition_tables.TABLES:
            assert re.search(rf"^\|.*`{reason}`.*\| {re.escape(note.meaning)} \|", page, re.MULTILINE)


@pytest.mark.parametrize("kind", ConditionType)
def test_every_type_has_its_row(kind: ConditionType) -> None:
    assert f"| `{kind}` | {kind.about.question} |" in PAGE.read_text()
    assert kind.about.summary in {"", *ConditionType}


def test_remedies_have_no_period_after_a_command() -> None:
    """A user copies the command from its start to the end of the message. So nothing may follow the command."""
    assert [one for one in Reason for note in one.notes if re.search("`kubectl[^`]*`[.]$", note.remedy)] == []


def test_no_former_name_is_in_use() -> None:
    assert not FORMER_TYPES.keys() & set(ConditionType)
    assert not FORMER_REASONS.keys() & set(Reason)
    former = Condition.parse({"type": "Notified", "status": "False", "reason": "SelectsNone"})
    assert former is not None
    assert (former.type, former.reason) == (ConditionType.NOTIFICATIONS_CONFIGURED, Reason.SELECTOR_NOT_SET)


OF_THE_API_SERVER = {Reason.INVALID, Reason.FORBIDDEN}


def test_every_reason_of_a_condition_is_set_somewhere() -> None:
    """The operator uses every reason. It copies some of them from a kubelet or from the API server."""
    texts = "".join(path.read_text() for path in OPERATOR.rglob("*.py") if REGISTRY not in path.parents)
    unused = {one for one in Reason if not re.search(rf"Reason[.]{one.name}\b", texts)}
    assert {one for one in unused if {note.where for note in one.notes} != {Group.NODE}} <= OF_THE_API_SERVER


NAMED = re.compile(r'(?:metricat_target_condition\{[^}]*type=|@\.type==|--for=condition=)\\?"?([A-Za-z]+)')
"""Matches the name of a condition type in PromQL, in a JSON path, or in a command."""


def test_alerts_dashboards_and_commands_name_registered_types() -> None:
    folders = ("operator/src", "tools/src", "charts", "crds", "docs", "tests/support")
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".yaml", ".json", ".md"}
    ]
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in files
        for name in NAMED.findall(path.read_text())
        if name not in {*ConditionType, "Established", "Available"}
    }
    assert sorted(found) == []


def test_reasons_are_members_of_the_registry() -> None:
    """A reason that a program sets is a `Reason`, never a string of its own."""
    found = []
    for path in OPERATOR.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", getattr(call.func, "attr", ""))
            place = {"Condition": 2, "Finding": 1, "ChildError": 2, "QueryError": 0}.get(name)
            if place is None:
                continue
            reasons = [one.value for one in call.keywords if one.arg == "reason"] + call.args[place : place + 1]
            found += [
                f"{path.relative_to(OPERATOR)}:{call.lineno}"
                for one in reasons
                if isinstance(one, ast.Constant | ast.JoinedStr)
            ]
    assert found == []
