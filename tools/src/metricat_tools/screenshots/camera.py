"""Pictures of each view of the hub's page, by size and theme."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from playwright.sync_api import Browser

_WAIT = 60_000
_DATA = ".tile, canvas, tbody tr, .figure, .count, form, .entry"
"""Elements of a view that has data."""
_COLORS = 64
_EXPRESSION = quote("sum by (mode) (rate(node_cpu_seconds_total[1m]))")
VIEWS = {
    "fleet": "/",
    "busiest": "/busiest?range=15m",
    "node": "/nodes/{node}?range=15m",
    "compare": "/compare?nodes={node}&range=15m",
    "processes": "/processes",
    "explore": f"/explore?q={_EXPRESSION}&range=15m",
    "alerts": "/alerts",
    "history": "/alerts?tab=history&range=1h",
    "silences": "/alerts?tab=silences",
    "rules": "/rules",
    "rule": "/rules/NodeMemoryUsageHigh?range=1h",
    "coverage": "/coverage",
    "receivers": "/settings",
    "users": "/settings?tab=users",
    "keys": "/settings?tab=keys",
    "about": "/settings?tab=about",
}
"""The paths of the views, by the name of their pictures."""


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


@dataclass(frozen=True)
class Camera:
    """Take pictures of a running hub with an API key, and write them to a folder."""

    browser: Browser
    url: str
    key: str
    folder: Path

    def take(self, name: str, path: str, *, forms: Sequence[Form] = FORMS, ready: str = "") -> None:
        """Write a picture of a view in some forms, once the view has data and shows the text `ready`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for form in forms:
            context = self.browser.new_context(
                base_url=self.url,
                viewport={"width": form.width, "height": form.height},
                color_scheme="dark" if form.dark else "light",
                locale="en-GB",
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.set_default_timeout(_WAIT)
            page.goto(f"{path}#key={self.key}")
            expect(page.locator(".live")).to_have_attribute("data-state", "live", timeout=_WAIT)
            expect(page.locator(".loading")).to_have_count(0, timeout=_WAIT)
            expect(page.locator(_DATA).first).to_be_visible(timeout=_WAIT)
            if ready:
                expect(page.get_by_text(ready).first).to_be_visible(timeout=_WAIT)
            file = self.folder / f"{name}-{form.name}.png"
            page.screenshot(path=file, animations="disabled")
            context.close()
            if program := shutil.which("pngquant"):
                subprocess.run([program, "--force", "--ext=.png", "--strip", str(_COLORS), str(file)], check=True)
