"""The version of the project in its files."""

import re
from pathlib import Path

from metricat_tools.errors import ToolError

_DISTRIBUTIONS = ("agent", "cli", "hub", "operator", "rules", "tools")
_PLACES = {
    **{f"{name}/pyproject.toml": r'(?m)^version = "(.+)"$' for name in _DISTRIBUTIONS},
    "charts/metricat/Chart.yaml": r"(?m)^(?:version|appVersion): (.+)$",
    "config/kustomization.yaml": r'(?:newTag: |metricat/agent:)([0-9][^\s"]*)',
    "hub/packaging/compose/compose.yaml": r"METRICAT_VERSION:-([^}]+)}",
    "web/package.json": r'(?m)^  "version": "(.+)",$',
    "web/package-lock.json": r'"name": "metricat-web",\s+"version": "(.+?)"',
}
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-rc\.[0-9]+)?")


def found(root: Path) -> dict[str, set[str]]:
    """Return the versions in each file that has one."""
    return {path: {text for text, _, _ in _matches(root, path)} for path in _PLACES}


def write(root: Path, version: str) -> list[str]:
    """Write a version into all files; return those that changed.

    Raises:
        ToolError: the text is not a version such as 1.2.3 or 1.2.3-rc.1.
    """
    check(version)
    changed = []
    for path in _PLACES:
        text = (root / path).read_text()
        for _, start, end in reversed(_matches(root, path)):
            text = text[:start] + version + text[end:]
        if text != (root / path).read_text():
            (root / path).write_text(text)
            changed.append(path)
    return changed


def check(version: str) -> None:
    """Check the form of a version.

    Raises:
        ToolError: the text is not a version.
    """
    if not _VERSION.fullmatch(version):
        raise ToolError(f"invalid version {version!r}; use for example VERSION=1.2.3 or VERSION=1.2.3-rc.1")


def notes(changelog: str, version: str) -> str:
    """Return the section of a version in the changelog.

    Raises:
        ToolError: the changelog has no such section, or it is empty.
    """
    section = re.search(rf"(?ms)^## \[{re.escape(version)}\][^\n]*\n(.*?)(?=^## \[|\Z)", changelog)
    if not section or not section[1].strip():
        raise ToolError(f"CHANGELOG.md has no section [{version}]. Rename [Unreleased] to [{version}] with the date.")
    return section[1].strip() + "\n"


def _matches(root: Path, path: str) -> list[tuple[str, int, int]]:
    """Return each version in a file, with its start and end."""
    text = (root / path).read_text()
    matches = [(one[1], *one.span(1)) for one in re.finditer(_PLACES[path], text)]
    if not matches:
        raise ToolError(f"{path} has no version where {_PLACES[path]!r} expects it. Correct the file or the pattern.")
    return matches
