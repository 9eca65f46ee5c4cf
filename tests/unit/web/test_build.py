"""The built page: its size, its references, and the unit tests of its modules."""

from __future__ import annotations

import gzip
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from metricat_hub.api.page import FILES, VIEWS
from support.built_page import WEB, ensure_page

if TYPE_CHECKING:
    from pathlib import Path

BUDGET = 120 << 10
"""Bytes of all scripts and styles, compressed."""
FIRST_VIEW = 60 << 10
"""The same of what the first view loads."""
FIRST_SCRIPTS = 5
"""Each request costs a slow device some milliseconds before the first view."""


@pytest.fixture(scope="module")
def folder() -> Path:
    return ensure_page()


def test_the_page_is_where_the_hub_reads_it(folder: Path) -> None:
    assert folder == FILES


def test_code_and_styles_are_within_the_budget(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.gz")}
    assert sum(sizes.values()) <= BUDGET, sizes
    index = (folder / "index.html").read_text()
    first = re.findall(r"/assets/([\w.-]+)", index)
    assert sum(sizes[f"{name}.gz"] for name in first) <= FIRST_VIEW, first
    assert sum(name.endswith(".js") for name in first) <= FIRST_SCRIPTS, first


def test_each_file_has_its_compressed_form(folder: Path) -> None:
    names = [path.name for path in folder.iterdir() if path.suffix != ".gz"]
    assert len(names) >= 8
    for name in names:
        assert gzip.decompress((folder / f"{name}.gz").read_bytes()) == (folder / name).read_bytes()


def test_the_index_has_no_inline_code_and_names_existing_files(folder: Path) -> None:
    index = (folder / "index.html").read_text()
    assert "{{" not in index
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", index)
    for name in re.findall(r'(?:src|href)="/assets/([^"]+)"', index):
        assert (folder / name).exists(), name


def test_the_page_loads_nothing_from_other_hosts(folder: Path) -> None:
    allowed = {"http://www.w3.org"}
    for path in folder.iterdir():
        if path.suffix in (".js", ".css", ".html"):
            found = set(re.findall(r"https?://[\w.-]+", path.read_text())) - allowed
            assert not found, f"{path.name}: {found}"


def test_the_hub_serves_the_path_of_each_view() -> None:
    registry = (WEB / "src/views/registry.ts").read_text()
    paths = re.findall(r'path: "/([\w-]*)', registry)
    assert paths, "no view"
    assert {path for path in paths if path} <= set(VIEWS)


def test_lockfile_has_no_download_addresses() -> None:
    lock = (WEB / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_modules_pass_their_unit_tests(folder: Path) -> None:  # noqa: ARG001 -- installs the packages
    done = subprocess.run(["node", "test.mjs"], cwd=WEB, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
