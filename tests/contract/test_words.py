"""Plain words: no text of this repository uses a word from the list of banned words.

Each area has an allowance, which only falls: when you remove banned words, lower the number here.
Texts that users read (docs, chart, CRDs, operator, agent, CLI) have no allowance.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.paths import ROOT

BANNED = {
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix, repair, correct",
    r"for ever": "forever, without limit",
    r"who(so)?ever('s)?": "a noun: the user, the client, the operator",
    r"whosever": "a noun",
    r"told": "reported, exported, configured",
    r"tells? (of|apart|whether|what|how|which|it)": "report, show, distinguish",
    r"(is|are|was|were|be|being) asked": "is queried, is requested",
    r"asks? for": "request, require, select",
    r"(is|are|was) (?-i:no) (?!longer\b)[a-z]+": "is not a ...",
    r"(is|are) (?-i:none)\b": "no ... exists",
    r"no more(?! than)\b": "no longer",
    r"(go|goes|going) on\b(?! to\b)": "continue",
    r"comes? to\b": "become, reach",
    r"of itself": "automatically, by default",
    r"for want of": "because ... ran out",
    r"dear(er|est)?": "expensive, more expensive, most expensive",
    r"reckons?": "calculate, estimate, treat as",
    r"of late": "recently",
    r"besides": "in addition, apart from",
    r"takers?": "Prometheus instance",
    r"makes? (no |any )?sense": "is valid, is invalid",
    r"(?<!as )(?<!user )(?<![\":])(?-i:[Nn]obody('s)?)": "no user, no process, no Prometheus",
    r"such as there (is|are)": "any",
    r"heard?s?": "received",
    r"lobby|(?<!virtual )lanes?|thrift|overseers?|doctor|roster": "the module's or class's plain name",
    r"riddles?": "an unclear name",
    r"(does|did|do) not know": "has no information about",
    r"so (long|many|much) as": "while, as long as",
    r"at hand": "available",
    r"stands? for\b": "means",
    r"hold(s)? back|by and by|henceforth|thereby|thereof|hitherto|whence|thence": "a plain word",
    r"hence|thus": "so",
    r"meanwhile": "during ..., at the same time",
    r"seldom": "rarely",
    r"per cent": "percent, %",
    r"beside|amid(st)?|amongst": "next to, despite, among",
    r"alike": "equally, the same",
    r"(any|no|some|every)(thing|where|body|one) else|(and|or) else": "no other ..., otherwise",
    r"file systems?": "filesystem",
}
"""A pattern of whole words, case-insensitive, and what to write instead."""

AREAS = {
    "docs": ("README.md", "CHANGELOG.md", "docs"),
    "chart": ("charts",),
    "crds": ("crds",),
    "agent": ("agent",),
    "operator": ("operator",),
    "rules": ("rules",),
    "hub": ("hub",),
    "cli": ("cli",),
    "tools": ("tools", "Makefile", "pyproject.toml", "Dockerfile", ".ci"),
    "tests": ("tests",),
}
ALLOWED = dict.fromkeys(AREAS, 0)
TEXTS = {".py", ".md", ".yaml", ".yml", ".txt", ".tpl", ".toml", ".sh", ".json", ".in", ""}
NOT_OURS = ("tests/fixtures/", "tests/golden/", "requirements/", "tools/binaries/")
"""Recorded or generated files. The source of a generated text is checked instead."""

PATTERN = re.compile(r"(?<![\w-])(?:" + "|".join(f"(?:{word})" for word in BANNED) + r")(?![\w-])", re.IGNORECASE)


def files(area: str) -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *AREAS[area]], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for name in listed.splitlines():
        path = ROOT / name
        ours = not name.startswith(NOT_OURS) or name == "tests/fixtures/README.md"
        if ours and path.suffix in TEXTS and path != Path(__file__) and path.is_file():
            yield path


def found(area: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r} in: {line.strip()[:100]}"
        for path in files(area)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        for match in PATTERN.finditer(line.replace("_", " "))
    ]


@pytest.mark.parametrize("area", AREAS)
def test_banned_words_do_not_exceed_the_allowance(area: str) -> None:
    lines = found(area)
    assert len(lines) <= ALLOWED[area], "\n".join(["write plainly; BANNED says what to use instead:", *lines])
    assert len(lines) == ALLOWED[area], f"lower ALLOWED[{area!r}] to {len(lines)}"


def test_the_pattern_finds_banned_words_and_no_others() -> None:
    banned = (
        "It is no error.",
        "He is told of it",
        "nobody's",
        "written ANEW,",
        "test_who_is_asked",
        "what it asks for",
    )
    assert [text for text in banned if not PATTERN.search(text.replace("_", " "))] == []
    plain = ("It is no longer up", "no more than 3", "recommended", "goes on to the next", "behold", "task")
    assert [text for text in plain if PATTERN.search(text)] == []
