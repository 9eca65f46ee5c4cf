"""The reports of pip-audit and npm: a vulnerability is a finding, and missing data is an error."""

from typing import Any

import pytest

from metricat_tools.errors import ToolError
from metricat_tools.security.audit import LISTS, npm_findings, python_findings
from support.paths import ROOT


def test_vulnerability_of_a_python_package_is_a_finding() -> None:
    vulnerability = {"id": "PYSEC-1", "fix_versions": ["1.1"]}
    report = {"dependencies": [{"name": "a", "version": "1.0", "vulns": [vulnerability]}, {"name": "b", "vulns": []}]}
    assert list(python_findings(report)) == ["a 1.0: PYSEC-1, fixed in 1.1"]


def test_skipped_python_package_is_an_error() -> None:
    with pytest.raises(ToolError, match="not available here: not found"):
        list(python_findings({"dependencies": [{"name": "a", "skip_reason": "not found"}]}))


def test_vulnerability_of_an_npm_package_is_a_finding() -> None:
    report = {"vulnerabilities": {"a": {"range": "<2", "severity": "high"}}}
    assert list(npm_findings(report)) == ["a <2: high"]


@pytest.mark.parametrize("report", [{"message": "405", "error": {"summary": ""}}, {"error": {"code": "ENOLOCK"}}])
def test_npm_without_data_is_an_error(report: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="not available here"):
        list(npm_findings(report))


def test_every_list_of_packages_is_checked() -> None:
    lists = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    assert lists == {*LISTS}
