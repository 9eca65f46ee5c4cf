"""The report of checkov: a new finding and an outdated exception are problems."""

from typing import Any

import pytest

from metricat_tools.errors import ToolError
from metricat_tools.security.chart import ACCEPTED, judged, read

REPORT: dict[str, Any] = {
    "summary": {"passed": 3, "failed": 1, "parsing_errors": 0},
    "results": {
        "failed_checks": [
            {"check_id": "CKV_1", "check_name": "a rule", "resource": "Pod.monitoring.a", "file_path": "/default.yaml"}
        ]
    },
}


def test_finding_that_is_not_accepted_is_a_problem() -> None:
    passed, found = read(REPORT)
    assert passed == 3
    assert judged(found, {}) == ["/default.yaml: Pod monitoring.a: CKV_1 a rule"]
    assert judged(found, {("CKV_1", "Deployment"): "x"})[0] == "/default.yaml: Pod monitoring.a: CKV_1 a rule"
    assert judged(found, {("CKV_1", "Pod"): "x"}) == []


def test_accepted_kind_without_a_finding_is_a_problem() -> None:
    assert judged([], {("CKV_1", "Pod"): "x"}) == ["CKV_1 of Pod is accepted, but has no finding; remove it"]


@pytest.mark.parametrize(
    "report",
    [
        {"passed": 0, "failed": 0, "parsing_errors": 0},  # what checkov prints without any object
        {"summary": {"passed": 3, "parsing_errors": 1}, "results": {"failed_checks": []}},
    ],
)
def test_renders_that_checkov_cannot_read_are_an_error(report: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="could not read"):
        read(report)


def test_every_exception_has_a_reason() -> None:
    assert all(reason.endswith(".") for reason in ACCEPTED.values())
