"""Sphinx builds the site of the documentation without a warning: links lead to pages, and the menu has each page."""

import subprocess
import sys
from pathlib import Path

from support.paths import ROOT


def test_sphinx_reads_every_page_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "--fail-on-warning", "--keep-going", "-b", "dummy", "-c", "docs"]
    done = subprocess.run(
        [*command, ".", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
