"""CHANGELOG.md names everything that users can name: alerts, collectors, commands, conditions and child kinds."""

import pytest

from metricat_agent.collectors.catalog import collectors_for
from metricat_cli.commands import COMMANDS
from metricat_operator.child_kinds import CHILD_KINDS
from metricat_operator.conditions.types import ConditionType
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.hub import HUB_ALERTS
from metricat_rules.operator import OPERATOR_ALERTS
from support.paths import ROOT

_TEXT = (ROOT / "CHANGELOG.md").read_text()
_NAMES = {
    "alert": [alert.name for alert in (*CATALOGUE, *OPERATOR_ALERTS, *HUB_ALERTS)],
    "collector": list(collectors_for("linux")),
    "command": [f"metricat {name}" for name in COMMANDS],
    "condition": [kind.value for kind in ConditionType],
}


@pytest.mark.parametrize("kind", _NAMES)
def test_changelog_has_each_name(kind: str) -> None:
    missing = [name for name in _NAMES[kind] if f"`{name}" not in _TEXT]
    assert not missing, f"add a line to CHANGELOG.md for each new {kind}"


def test_changelog_has_each_child_kind() -> None:
    missing = [kind.name for kind in CHILD_KINDS if kind.name not in _TEXT]
    assert not missing, "add a line to CHANGELOG.md for each new child kind"
