"""`make verify`: which generated files count as out of date."""

import os
import subprocess
from pathlib import Path

import pytest

from metricat_tools.errors import ToolError
from metricat_tools.generate import verify

GENERATOR = "from pathlib import Path\nPath('page.md').write_text(Path('source.txt').read_text())\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose generator copies source.txt to page.md."""
    folder = tmp_path / "checkout"
    package = folder / "tools" / "src" / "metricat_tools"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(GENERATOR)
    (folder / "source.txt").write_text("new\n")
    (folder / "page.md").write_text("new\n")
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "init", "-q", str(folder)], check=True, env=environment)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True, env=environment)
    return folder


def test_verify_accepts_files_that_are_up_to_date(checkout: Path) -> None:
    verify.verify(checkout)


@pytest.mark.parametrize("text", ["old\n", None], ids=["differs", "missing"])
def test_verify_names_the_file_and_leaves_the_checkout_unchanged(checkout: Path, text: str | None) -> None:
    (checkout / "page.md").unlink()
    if text is not None:
        (checkout / "page.md").write_text(text)
    with pytest.raises(ToolError, match=r"page\.md"):
        verify.verify(checkout)
    assert (checkout / "page.md").exists() == (text is not None)
    assert (checkout / "source.txt").read_text() == "new\n"


def test_verify_uses_uncommitted_sources(checkout: Path) -> None:
    (checkout / "source.txt").write_text("newer\n")
    with pytest.raises(ToolError, match=r"page\.md"):
        verify.verify(checkout)
