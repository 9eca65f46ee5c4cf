"""No view violates WCAG 2.2 AA, in both themes and on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import new_context, open_view, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from support.hub_process import HubProcess

VIEWS = (
    "/",
    "/nodes/web-1?range=15m",
    "/busiest",
    "/compare?nodes=web-1,web-2&range=15m",
    "/processes",
    "/explore?q=up",
    "/explore",
    "/alerts",
    "/alerts?tab=history",
    "/alerts?tab=silences",
    "/rules",
    "/rules/NodeMemoryUsageHigh",
    "/coverage",
    "/settings?tab=keys",
    "/none",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_views_have_no_violation(browser: Browser, hub: HubProcess, scheme: str, width: int) -> None:
    context = new_context(browser, hub.url, scheme=scheme, width=width)
    page = context.new_page()
    found: list[str] = []
    for path in VIEWS:
        open_view(page, path.replace("/none", "/settings/none/none"), hub.key)
        found += [f"{path}: {one}" for one in violations(page)]
    context.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_sign_in_and_dialog_have_no_violation(browser: Browser, hub: HubProcess, scheme: str) -> None:
    context = new_context(browser, hub.url, scheme=scheme)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert not (found := violations(page)), "\n".join(found)
    open_view(page, "/explore?q=up", hub.key)
    page.reload()
    page.get_by_label("Time range").last.select_option("custom")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert not (found := violations(page)), "\n".join(found)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    context.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_dialogs_with_checks_have_no_violation(browser: Browser, hub: HubProcess, width: int) -> None:
    context = new_context(browser, hub.url, width=width)
    page = context.new_page()
    open_view(page, "/alerts?tab=silences", hub.key)
    for name in ("New silence", "New maintenance window"):
        page.get_by_role("button", name=name).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        assert not (found := violations(page)), "\n".join(found)
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    context.close()
