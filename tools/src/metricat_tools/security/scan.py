"""`make scan-code`: report the mistakes that tools/semgrep/rules.yaml describes."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricat_tools.errors import ToolError
from metricat_tools.security.programs import ROOT, run

RULES = ROOT / "tools" / "semgrep"
CODE = ("agent/src", "operator/src", "rules/src", "hub/src", "cli/src", "web/src")
_EXPECTED = re.compile(r"(?:#|//) ruleid: ([\w-]+)")


@dataclass(frozen=True, order=True)
class Finding:
    """A line that a rule reports."""

    path: str
    line: int
    rule: str
    message: str = ""

    def __str__(self) -> str:
        """Return the finding as PATH:LINE, rule and message, the format of compilers."""
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def scan() -> None:
    """Scan the code and the examples in one run: a start of semgrep takes seconds.

    Raises:
        ToolError: the code has a finding, or a rule misses its example.
    """
    output = run(
        *("semgrep", "scan", "--config", RULES / "rules.yaml", "--json", "--strict", "--quiet"),
        *("--metrics=off", "--disable-version-check", "--no-rewrite-rule-ids", "--jobs=2"),
        *(*CODE, RULES.relative_to(ROOT)),
        statuses=(0, 2),
    )
    problems = judged(json.loads(output), examples(RULES.glob("rules.*")))
    if problems:
        raise ToolError("\n".join(["the scan of the code found:", *problems]))
    print(f"{len(CODE)} folders match none of the rules, and each rule finds its examples")


def examples(files: Iterable[Path]) -> set[Finding]:
    """Return the findings that the rules must report: the lines after a comment `ruleid: RULE`."""
    return {
        Finding(str(file.relative_to(ROOT)), number + 1, match[1])
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (match := _EXPECTED.search(line))
    }


def judged(report: dict[str, Any], expected: set[Finding]) -> list[str]:
    """Compare semgrep's report with the expected findings; return each difference as text."""
    problems = [f"semgrep: {one.get('message', one)}" for one in report["errors"]]
    found = {
        Finding(one["path"], one["start"]["line"], one["check_id"], " ".join(one["extra"]["message"].split()))
        for one in report["results"]
    }
    reported = {Finding(one.path, one.line, one.rule) for one in found}
    problems += [str(one) for one in sorted(found) if Finding(one.path, one.line, one.rule) not in expected]
    problems += [
        f"{one.path}:{one.line}: the rule {one.rule} misses its example" for one in sorted(expected - reported)
    ]
    return problems
