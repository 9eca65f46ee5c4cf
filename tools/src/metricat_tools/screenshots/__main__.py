"""`python -m metricat_tools screenshots --key KEY`: take screenshots of each view, by size and theme."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from metricat_tools.browser import chromium
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

IMAGES = Path(__file__).parents[4] / "docs" / "hub" / "images"
_WAIT = 60_000
_EXPRESSION = quote("sum by (mode) (rate(node_cpu_seconds_total[1m]))")
VIEWS = {
    "fleet": "/",
    "busiest": "/busiest?range=24h",
    "node": "/nodes/{node}?range=15m",
    "compare": "/compare?nodes={node}&range=15m",
    "processes": "/processes",
    "explore": f"/explore?q={_EXPRESSION}&range=15m",
    "alerts": "/alerts",
    "history": "/alerts?tab=history&range=24h",
    "rules": "/rules",
    "rule": "/rules/NodeMemoryUsageHigh?range=1h",
    "coverage": "/coverage",
    "settings": "/settings?tab=about",
}


@dataclass(frozen=True)
class Form:
    """A size of the window and a theme."""

    name: str
    width: int
    height: int
    dark: bool


FORMS = (
    Form("light", 1280, 800, dark=False),
    Form("dark", 1280, 800, dark=True),
    Form("phone", 360, 720, dark=False),
)


def main(arguments: Sequence[str]) -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(prog="python -m metricat_tools screenshots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8428", help="URL of the hub (default %(default)s)")
    parser.add_argument("--key", required=True, help="an API key")
    parser.add_argument("--node", required=True, help="name of the node for the node view")
    parser.add_argument("--view", nargs="+", choices=sorted(VIEWS), default=list(VIEWS), help="views (default: all)")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the screenshots (default docs/hub/images)")
    chosen = parser.parse_args(arguments)
    try:
        from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 -- the other commands run without it
    except ImportError:
        raise ToolError("Playwright is missing. Run make .venv/ready.") from None
    chosen.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for form in FORMS:
            context = browser.new_context(
                viewport={"width": form.width, "height": form.height},
                color_scheme="dark" if form.dark else "light",
                locale="en-GB",
                bypass_csp=True,  # `wait_for_function` evaluates text, which the policy of the page forbids
            )
            page = context.new_page()
            for name in chosen.view:
                path = VIEWS[name].format(node=quote(chosen.node))
                try:
                    _open(page, f"{chosen.url}{path}", chosen.key)
                except Error as error:
                    raise ToolError(
                        f"{chosen.url}{path}: the view does not load: {error.message}. Check --url and --key"
                    ) from None
                page.screenshot(path=chosen.out / f"{name}-{form.name}.png")
            context.close()
        browser.close()


def _open(page: Page, url: str, key: str) -> None:
    """Open a view and wait until it has data."""
    page.goto("about:blank")
    page.goto(f"{url}#key={key}")
    page.wait_for_function("document.querySelector('.live')?.dataset.state === 'live'", timeout=_WAIT)
    page.wait_for_function("!document.querySelector('.loading')", timeout=_WAIT)
    page.wait_for_function("document.querySelector('.tile, canvas, tbody tr, .figure, .count, form')", timeout=_WAIT)
