"""The states of each view: loading, failed, stale, and empty on a hub without nodes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import Errors, new_context, open_view
from support.built_page import ensure_page
from support.hub_process import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route

    from support.hub_process import HubProcess

REFRESHED = (
    "/",
    "/nodes/web-1?range=15m",
    "/busiest?range=15m",
    "/compare?nodes=web-1,web-2&range=15m",
    "/processes",
    "/explore?q=node_load1&range=15m",
    "/explore?q=node_load1&view=table",
    "/alerts",
    "/alerts?tab=history&range=24h",
    "/alerts?tab=silences",
    "/rules",
    "/coverage",
    "/settings",
    "/settings?tab=about",
)
"""Views that read their data again while they are open."""
VIEWS = (*REFRESHED, "/alerts/0123456789abcdef", "/rules/NodeCPUUsageHigh", "/rules/new", "/settings?tab=keys")
SESSION = re.compile(r"/api/v1/(me|sessions|live)\b")
MINUTES = 2 * 60_000


class Interruption:
    """Answers the requests of a context for data itself: not at all, or with an error."""

    def __init__(self, context: BrowserContext, status: int) -> None:
        self.status = status
        self.active = False
        context.route("**/api/**", self._handle)

    def _handle(self, route: Route) -> None:
        if not self.active or SESSION.search(route.request.url):
            route.fallback()
        elif self.status:
            body = json.dumps(
                {"status": self.status, "title": "Refused", "detail": "The query reads too many samples."}
            )
            route.fulfill(status=self.status, content_type="application/problem+json", body=body)


@pytest.fixture
def context(browser: Browser, hub: HubProcess) -> Iterator[BrowserContext]:
    """Return a context that is signed in."""
    found = new_context(browser, hub.url)
    page = found.new_page()
    open_view(page, "/settings?tab=account", hub.key)
    stored = page.evaluate("JSON.stringify(Object.entries(sessionStorage))")
    found.add_init_script(f"for (const [name, value] of {stored}) sessionStorage.setItem(name, value)")
    page.close()
    yield found
    found.close()


def _open(context: BrowserContext, path: str) -> tuple[Page, Errors]:
    page = context.new_page()
    errors = Errors(page)
    page.goto(path)
    expect(page.locator("#content")).to_be_visible()
    return page, errors


def test_each_view_shows_that_it_loads(context: BrowserContext) -> None:
    Interruption(context, 0).active = True
    for path in VIEWS:
        if path == "/rules/new":
            continue  # an empty form
        page, errors = _open(context, path)
        expect(page.locator("main .loading").first, path).to_be_visible()
        assert errors.found == [], path
        page.close()


@pytest.mark.parametrize("status", [400, 503])
def test_each_view_shows_a_failure(context: BrowserContext, status: int) -> None:
    Interruption(context, status).active = True
    for path in VIEWS:
        page, errors = _open(context, path)
        failure = page.locator("main [role=alert]").first
        expect(failure, path).to_contain_text("The query reads too many samples.")
        expect(page.locator("main .loading"), path).to_have_count(0)
        assert errors.found == [], path
        page.close()


def test_a_refused_query_of_one_chart_leaves_the_other_charts(context: BrowserContext) -> None:
    def refuse(route: Route) -> None:
        if "node_load1" in (route.request.post_data or ""):
            body = json.dumps({"status": "error", "errorType": "bad_data", "error": "Too many samples."})
            route.fulfill(status=422, content_type="application/json", body=body)
        else:
            route.fallback()

    context.route("**/api/v1/query_range", refuse)
    for path, refused in (("/nodes/web-1?range=15m", "Load"), ("/compare?nodes=web-1&range=15m", "Load for each CPU")):
        page, errors = _open(context, path)
        expect(page.get_by_role("figure", name=refused, exact=True).get_by_role("alert")).to_contain_text("Too many")
        expect(page.get_by_role("figure", name="Network" if "nodes/" in path else "CPU", exact=True)).to_contain_text(
            re.compile(r"\d")
        )
        assert errors.found == [], path
        page.close()


def test_each_view_shows_that_its_data_is_old(context: BrowserContext) -> None:
    interruption = Interruption(context, 503)
    for path in REFRESHED:
        interruption.active = False
        page = context.new_page()
        errors = Errors(page)
        page.clock.install()
        page.goto(path)
        expect(page.locator("#content")).to_be_visible()
        expect(page.locator("main .loading"), path).to_have_count(0)
        interruption.active = True
        page.clock.fast_forward(MINUTES)
        notice = page.locator("main .notice").filter(has_text="The hub cannot serve the request now. The data is from")
        expect(notice.first, path).to_be_visible()
        expect(page.locator("main [role=alert]"), path).to_have_count(0)
        assert errors.found == [], path
        page.close()


EMPTY = {
    "/": "No node has sent samples",
    "/nodes/none": "No node has the name none",
    "/busiest": "No values in this time range",
    "/compare": "Choose nodes to compare",
    "/compare?nodes=none": "No samples in this time range",
    "/processes": "The agents report no processes",
    "/explore": "Write a query",
    "/explore?q=up": "The query returns no series",
    "/explore?q=up&view=table": "The query returns no series",
    "/alerts": "Alerts appear here",
    "/alerts?tab=history": "No alert has fired in this time range",
    "/alerts?tab=silences": "No maintenance window",
    "/alerts/0123456789abcdef": "No alert has this address",
    "/rules": "The hub evaluates no rules",
    "/coverage": "All targets and collectors work",
    "/settings": "No receiver",
    "/settings?tab=users": "No user",
}


def test_each_view_says_what_an_empty_hub_lacks(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    ensure_page()
    with running(tmp_path_factory.mktemp("empty") / "data", "--no-rules.shipped") as hub:
        context = new_context(browser, hub.url)
        page = context.new_page()
        errors = Errors(page)
        for path, text in EMPTY.items():
            open_view(page, path, hub.key)
            expect(page.locator("main"), path).to_contain_text(text)
        context.close()
        assert errors.found == []
