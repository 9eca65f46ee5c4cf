"""Configure the site of the documentation: Sphinx reads the Markdown pages as they are in the checkout.

The index of the site is docs/README.md. Its tables are the navigation: each section becomes a group, each row a page.
A new page needs no second list.
"""

import re
import tomllib
from pathlib import Path, PurePosixPath

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
INDEX = "docs/README"
MERMAID = ROOT / "dist" / "diagrams" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"

project = "Metricat"
author = "The authors of Metricat"
project_copyright = "The authors of Metricat, Apache License 2.0"
version = release = tomllib.loads((ROOT / "operator" / "pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = INDEX
include_patterns = [
    "*.md",
    "docs/**.md",
    "examples/README.md",
    "charts/metricat/README.md",
    "web/README.md",
    "tests/fixtures/README.md",
]
exclude_patterns = [".*", "**/node_modules", "**/src", "dist", "hub", "agent", "operator", "cli", "rules", "tools"]
# Pages refer to headings as GitHub names them.
myst_heading_anchors = 4
# Blocks with shortened output or placeholders are not programs: Sphinx shows them without colors.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"Metricat {release}"
html_favicon = "../web/src/icon.svg"
html_copy_source = False
html_show_sphinx = False
# The site works without Internet: no script or font comes from another host.
# Without mermaid, which `make docs` installs by npm, diagrams show their source.
html_static_path = ["site.css", "headings.js", "diagrams.js", *(str(path) for path in [MERMAID] if path.exists())]
html_js_files = [path.name for path in [MERMAID] if path.exists()] + ["diagrams.js", "headings.js"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\|.*?\]\(([^)#\s]+)\)", re.MULTILINE)


def _pages(text: str) -> list[str]:
    """Return the pages of a section of the index, in the order of its table."""
    links = [link for link in _ROW.findall(text) if link.endswith(".md")]
    return ["/" + _normal(f"docs/{link.removesuffix('.md')}") for link in links]


def _normal(path: str) -> str:
    """Return a path without its `..`."""
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _all_runbooks() -> list[str]:
    """Return the pages of the alerts, which the index does not list."""
    return [f"/docs/runbooks/{path.stem}" for path in sorted((ROOT / "docs" / "runbooks").glob("[!R]*.md"))]


def _toctree(caption: str, pages: list[str]) -> str:
    return "\n".join(["", "```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""])


def _add_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Append the hidden tables of contents to the index and to the list of alerts."""
    if page == INDEX:
        _, *sections = _SECTION.split(source[0])
        groups = zip(sections[::2], sections[1::2], strict=True)
        source[0] += "".join(_toctree(caption, _pages(text)) for caption, text in groups)
    elif page == "docs/runbooks/README":
        source[0] += _toctree("Alerts", _all_runbooks())


def setup(app: Sphinx) -> None:
    """Connect the navigation, and name the languages that Pygments does not have."""
    app.connect("source-read", _add_navigation)
    for language in ("mermaid", "promql"):
        app.add_lexer(language, TextLexer)
