"""Chromium of the system, driven by Playwright, and a hub with real agents for the tests of the page."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from metricat_tools.browser import chromium
from support.built_page import WEB

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 60_000
"""Milliseconds that a state may take on a busy machine. Tests wait for states, never for a time."""


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Run a browser without a window."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=WAIT)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Errors:
    """What a page reports as errors: exceptions, and messages of the console, for example about the policy.

    The console also reports each response with an error status. The views show those, and tests expect some.
    """

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("pageerror", lambda error: self.found.append(str(error)))
        page.on("console", self._add)

    def _add(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.found.append(message.text)


def new_context(
    browser: Browser, url: str, *, width: int = 1280, height: int = 800, scheme: str = "light", language: str = "en-GB"
) -> BrowserContext:
    """Return a context of its own, without storage of other tests."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        locale=language,
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
        accept_downloads=True,
    )
    context.set_default_timeout(WAIT)
    return context


def open_view(page: Page, path: str, key: str) -> None:
    """Open a view with an API key, as the link of `metricat up` does."""
    page.goto(f"{path}#key={key}")
    expect(page.locator("#content")).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)


def violations(page: Page) -> list[str]:
    """Return what axe-core reports about WCAG 2.2 AA."""
    page.evaluate((WEB / "node_modules/axe-core/axe.min.js").read_text())
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("async tags => (await axe.run(document, {runOnly: tags})).violations", tags)
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]
