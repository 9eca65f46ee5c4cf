"""The version of the project, in all files that have one, and its section of the changelog."""

import shutil
from pathlib import Path

import pytest
import yaml

from metricat_tools.errors import ToolError
from metricat_tools.release import versions
from support.paths import ROOT

CHANGELOG = """\
# Changelog

## [Unreleased]

## [1.1.0] - 2026-12-01

### Added

- One thing.

## [1.0.0] - 2026-11-01

## [0.9.0] - 2026-10-01

- Another thing.
"""


def test_every_file_has_the_same_version() -> None:
    found = versions.found(ROOT)
    assert len(set.union(*found.values())) == 1, found


def test_a_new_version_replaces_the_old_one_everywhere(tmp_path: Path) -> None:
    for path in versions.found(ROOT):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    assert versions.write(tmp_path, "7.8.9-rc.1") == list(versions.found(ROOT))
    assert set.union(*versions.found(tmp_path).values()) == {"7.8.9-rc.1"}
    chart = yaml.safe_load((tmp_path / "charts/metricat/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == ("7.8.9-rc.1", "7.8.9-rc.1")
    assert versions.write(tmp_path, "7.8.9-rc.1") == []


@pytest.mark.parametrize("text", ["", "1.0", "v1.0.0", "1.0.0 ", "1.0.0-beta", "1.0.0; true"])
def test_other_texts_than_versions_are_rejected(text: str) -> None:
    with pytest.raises(ToolError, match="use for example"):
        versions.check(text)


def test_notes_are_the_section_of_the_version() -> None:
    assert versions.notes(CHANGELOG, "1.1.0") == "### Added\n\n- One thing.\n"
    assert versions.notes(CHANGELOG, "0.9.0") == "- Another thing.\n"


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0", "1.1"])
def test_a_version_without_changes_is_rejected(version: str) -> None:
    with pytest.raises(ToolError, match=r"Rename \[Unreleased\]"):
        versions.notes(CHANGELOG, version)
