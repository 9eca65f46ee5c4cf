"""The report of semgrep: a finding in the code and a rule that misses its example are problems."""

import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from metricat_tools.security.scan import RULES, Finding, examples, judged
from support.paths import ROOT

_RULE_IDS = {rule["id"] for rule in yaml.safe_load((RULES / "rules.yaml").read_text())["rules"]}


def result(path: str, line: int, rule: str) -> dict[str, Any]:
    return {"path": path, "start": {"line": line}, "check_id": rule, "extra": {"message": "Use\n  a list."}}


def test_finding_in_the_code_is_a_problem() -> None:
    report = {"errors": [], "results": [result("hub/a.py", 3, "shell"), result("tools/semgrep/rules.py", 9, "shell")]}
    expected = {Finding("tools/semgrep/rules.py", 9, "shell")}
    assert judged(report, expected) == ["hub/a.py:3: shell: Use a list."]


def test_rule_that_misses_its_example_is_a_problem() -> None:
    report: dict[str, Any] = {"errors": [], "results": []}
    expected = {Finding("tools/semgrep/rules.py", 9, "shell")}
    assert judged(report, expected) == ["tools/semgrep/rules.py:9: the rule shell misses its example"]


def test_file_that_semgrep_cannot_read_is_a_problem() -> None:
    assert judged({"errors": [{"message": "syntax error"}], "results": []}, set()) == ["semgrep: syntax error"]


def test_every_rule_has_an_example() -> None:
    assert {one.rule for one in examples(RULES.glob("rules.*"))} == _RULE_IDS


def test_every_exception_names_its_rule_and_its_reason() -> None:
    files = subprocess.run(["git", "ls-files", "*/src/*"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [
        f"{name}: {line.strip()}"
        for name in files.stdout.splitlines()
        if Path(name).suffix in {".py", ".ts", ".tsx"}
        for line in (ROOT / name).read_text().splitlines()
        if "nosem" in line
    ]
    assert lines
    reason = re.compile(rf"# nosemgrep: ({'|'.join(map(re.escape, _RULE_IDS))}) -- \w.+$")
    assert [line for line in lines if not reason.search(line)] == []
