"""Files around the code: the workflows call make targets that exist, and every package states the license."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PACKAGES = sorted(ROOT.glob("*/pyproject.toml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_workflows_call_make_targets_that_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    called = {*re.findall(r"\bmake (?:--silent )?([a-z][a-z0-9-]*)", text), *re.findall(r'"(test-[a-z0-9-]+)"', text)}
    for values in re.findall(r"target: \[([^\]]*)\]", text):
        called |= {one.strip() for one in values.split(",")}
    assert called, "no make target found"
    assert sorted(called - targets) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=[path.stem for path in WORKFLOWS])
def test_workflows_get_no_permission_by_default(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("path", PACKAGES, ids=[path.parent.name for path in PACKAGES])
def test_packages_state_the_license(path: Path) -> None:
    assert tomllib.loads(path.read_text())["project"]["license"] == "Apache-2.0"


def test_owners_are_of_paths_that_exist() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()
    paths = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert [one for one in paths if one != "*" and not (ROOT / one.strip("/")).exists()] == []
