"""The page of packages has the layers of the import contracts, and the first line of each docstring."""

from pathlib import Path

from metricat_tools.generate import package_diagram

CONTRACTS = """
[[tool.importlinter.contracts]]
type = "forbidden"

[[tool.importlinter.contracts]]
type = "layers"
containers = ["metricat_cli"]
layers = ["upper", "left | right"]
"""


def test_page_has_the_layers_and_the_first_line_of_each_docstring(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(CONTRACTS)
    package = tmp_path / "cli" / "src" / "metricat_cli"
    (package / "upper").mkdir(parents=True)
    (package / "upper" / "__init__.py").write_text('"""Holds the upper part.\n\nMore.\n"""\n')
    (package / "left.py").write_text('"""Left | first."""\n')
    (package / "right.py").write_text("x = 1\n")
    before = f"# Title\n{package_diagram.BEGIN}obsolete\n{package_diagram.END}The end.\n"
    page = package_diagram.page(before, tmp_path)
    assert "obsolete" not in page
    assert page.startswith("# Title\n")
    assert page.endswith("The end.\n")
    assert "### metricat_cli" in page
    assert "| `upper` | Holds the upper part. |\n| `left` | Left \\| first. |\n| `right` |  |\n" in page
    assert "    layer0 --> layer1\n" in page
    assert package_diagram.page(page, tmp_path) == page
