"""Links, paths, make targets, flags and chart values in the documentation exist."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.flags import all_options
from metricat_hub.config.options import HUB
from support.paths import CHART, DOCS, ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
CURRENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""Pages that name only what exists today; the changelog also lists former names."""
RECIPES = sorted(set((DOCS / "contributing").glob("*.md")) - {DOCS / "contributing" / "README.md"})
"""Pages that also name files and chart values that their reader adds."""

_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(r"(?<![\w/.-])(?:agent|charts|cli|crds|docs|operator|requirements|tests|tools)/[\w./*-]*[\w/*]")
_MAKE = re.compile(r"`make ([a-z][a-z0-9-]*)")
_FLAG = re.compile(r"(?<![\w-])--(?:no-)?((?:agent|collector|log|path|web)\.[\w.-]*\w)")
_VALUE = re.compile(r"(?:`|--set )((?:dashboards|defaultTarget|image|operator)\.[A-Za-z.]*[A-Za-z])(?=[`=: ])")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    """Return the page's path in the checkout."""
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Return the relative links of a page."""
    return [link for link in _LINK.findall(_FENCE.sub("", page.read_text())) if not re.match(r"[a-z]+:", link)]


def broken_links(page: Path) -> Iterator[str]:
    """Yield the relative links whose file or heading does not exist."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def exists(path: str) -> bool:
    """Return whether a path, a glob or the number of a design note leads to a file."""
    return any(ROOT.glob(f"{path}-*.md" if re.fullmatch(r"docs/design/\d{4}", path) else path))


@pytest.mark.parametrize("page", RECIPES, ids=name)
def test_tests_that_a_recipe_names_exist(page: Path) -> None:
    sources = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    functions = {found for text in sources for found in re.findall(r"^ *def (test_\w+)", text, re.MULTILINE)}
    outside = _FENCE.sub("", page.read_text())
    named = set(re.findall(r"(?<![\w/])test_\w+(?!\w|\.py)", outside)) - functions
    assert not named


def test_code_cites_every_design_note() -> None:
    """Sources of the product cite the note that explains their design, and no note that does not exist."""
    sources = [
        path
        for top in ("operator", "rules", "agent", "hub", "cli", "tools", "charts")
        for path in (ROOT / top).rglob("*")
        if path.suffix in {".py", ".yaml"}
    ]
    cited = {number for path in sources for number in re.findall(r"docs/design/(\d{4})", path.read_text())}
    assert cited == {path.name[:4] for path in (DOCS / "design").glob("[0-9]*.md")}


def paths_of(values: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every chart value."""
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from paths_of(value, f"{prefix}{key}.")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", CURRENT, ids=name)
def test_paths_in_the_text_exist(page: Path) -> None:
    text = re.sub(r"\b(agent|cli|operator)/\.\.\./", r"\1/src/metricat_\1/", _LINK.sub("", page.read_text()))
    missing = {path for path in (found.rstrip("/") for found in _PATH.findall(text)) if not exists(path)}
    if page in RECIPES:
        missing = {path for path in missing if not (ROOT / path).parent.is_dir()}
    assert sorted(missing) == []


@pytest.mark.parametrize("page", CURRENT, ids=name)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    commands = {*_MAKE.findall(text), *re.findall(r"^ *make ([a-z0-9-]+)", "".join(_FENCE.findall(text)), re.MULTILINE)}
    assert commands - targets == set()


@pytest.mark.parametrize("page", CURRENT, ids=name)
def test_agent_flags_exist(page: Path) -> None:
    text = page.read_text().replace("collector.NAME", "")
    flags = {option.name for option in (*all_options(COLLECTORS), *HUB.options.values())}
    examples = {f"collector.{example}" for example in re.findall(r'^    name = "(\w+)"$', text, re.MULTILINE)}
    assert set(_FLAG.findall(text)) - flags - examples == set()


@pytest.mark.parametrize("page", [page for page in CURRENT if page not in RECIPES], ids=name)
def test_chart_values_exist(page: Path) -> None:
    values = set(paths_of(yaml.safe_load((CHART / "values.yaml").read_text())))
    assert set(_VALUE.findall(page.read_text())) - values == set()


def test_every_page_is_in_an_index() -> None:
    indexes = [DOCS / "README.md", DOCS / "contributing" / "README.md"]
    linked = {(index.parent / link.partition("#")[0]).resolve() for index in indexes for link in links(index)}
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "runbooks"} - {DOCS / "README.md"}
    assert sorted(name(page) for page in pages - linked) == []


def test_readme_lists_every_package_of_operator_and_agent() -> None:
    readme = (ROOT / "README.md").read_text()
    for part in ("operator", "agent"):
        folder = ROOT / part / "src" / f"metricat_{part}"
        _, _, rows = readme.partition(f"| **`{name(folder)}/`** |")
        listed = re.findall(r"^\| `(\w+)/` \|", rows.partition("| **")[0], re.MULTILINE)
        assert sorted(listed) == sorted(init.parent.name for init in folder.glob("*/__init__.py"))
