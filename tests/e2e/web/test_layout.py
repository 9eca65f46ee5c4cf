"""The layout of each view, as text, in three forms: wide, dark and on a phone.

METRICAT_LAYOUTS=write stores the present layouts; review the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import new_context, open_view
from support.built_page import ensure_page
from support.day_of_a_fleet import ALERT_NODE, BUSY, DayOfAFleet, day_of_a_fleet
from support.page_layout import differences, layout, misfits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parent / "layouts"
WRITES = os.environ.get("METRICAT_LAYOUTS") == "write"
FORMS = {"wide": (1280, "light"), "dark": (1280, "dark"), "phone": (360, "light")}
VIEWS = {
    "fleet": "/",
    "busiest": "/busiest?range=24h",
    "node": f"/nodes/{BUSY}?range=24h",
    "compare": f"/compare?nodes={BUSY},{ALERT_NODE}&range=24h",
    "processes": "/processes",
    "explore": "/explore?q=node_load1&range=24h",
    "alerts": "/alerts",
    "history": "/alerts?tab=history&range=24h",
    "silences": "/alerts?tab=silences",
    "rules": "/rules",
    "rule": "/rules/NodeCPUUsageHigh?range=24h",
    "coverage": "/coverage",
    "receivers": "/settings",
    "keys": "/settings?tab=keys",
}


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayOfAFleet]:
    ensure_page()
    with day_of_a_fleet(tmp_path_factory.mktemp("layout") / "data") as found:
        yield found


def _settled(page: Page) -> str:
    """Return the layout once two frames in a row have the same."""
    before = ""
    while (found := layout(page)) != before:
        before = found
        page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
    return found


@pytest.mark.parametrize("form", FORMS)
def test_views_have_their_layout(browser: Browser, day: DayOfAFleet, form: str) -> None:
    width, scheme = FORMS[form]
    context = new_context(browser, day.hub.url, width=width, scheme=scheme)
    page = context.new_page()
    found: list[str] = []
    for name, path in VIEWS.items():
        day.push_now()
        open_view(page, path, day.hub.key)
        expect(page.locator("main :is(h2, .message, .tiles, form, .count, .entries, table)").first).to_be_visible()
        now = _settled(page)
        stored = FOLDER / f"{name}-{'phone' if form == 'phone' else 'wide'}.txt"
        if WRITES and form != "dark":
            stored.write_text(now)
        found += [f"{name}: {one}" for one in (*differences(stored.read_text(), now), *misfits(page))]
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    )
    assert (max(red, green, blue) < 80) == (scheme == "dark")
    context.close()
    assert not found, "\n".join(found)
