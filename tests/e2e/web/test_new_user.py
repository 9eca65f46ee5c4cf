"""What a person does who has never seen the page: each step uses only what the page shows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from support.browser import Errors, new_context
from support.built_page import ensure_page
from support.day_of_a_fleet import (
    ALERT,
    ALERT_NODE,
    BUSY,
    BUSY_PERCENT,
    CAUSE,
    HOUR,
    MINUTE,
    PERSON,
    POOLS,
    DayOfAFleet,
    day_of_a_fleet,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayOfAFleet]:
    ensure_page()
    with day_of_a_fleet(tmp_path_factory.mktemp("day") / "data") as found:
        body = json.dumps({"name": "ada", "password": PASSWORD, "role": "editor"}).encode()
        assert found.hub.post("/api/v1/users", body, {"Content-Type": "application/json"}).status == 201
        yield found


@pytest.fixture
def page(browser: Browser, day: DayOfAFleet) -> Iterator[Page]:
    """Return the page after the sign-in of an editor."""
    context = new_context(browser, day.hub.url)
    found = context.new_page()
    errors = Errors(found)
    found.goto("/")
    found.get_by_label("Name").fill("ada")
    found.get_by_label("Password", exact=True).fill(PASSWORD)
    found.get_by_role("button", name="Sign in").click()
    expect(found.locator(".tile")).to_have_count(len(POOLS))
    yield found
    context.close()
    assert errors.found == []


def test_rejected_request_before_the_sign_in_is_not_an_error(browser: Browser, day: DayOfAFleet) -> None:
    context = new_context(browser, day.hub.url)
    page = context.new_page()
    errors = Errors(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/nodes?*", hold)  # so that the request for alerts is rejected first
    with page.expect_response("**/api/v1/alerts") as rejected:
        page.goto("/")
    assert rejected.value.status == 401
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    page.get_by_label("Name").fill("ada")  # by then, the page has handled the response
    assert len(held) == 1
    context.close()
    assert errors.found == []


def _open(page: Page, view: str) -> None:
    page.get_by_role("navigation", name="Navigation").get_by_role("link", name=view).click()


def test_the_busiest_node_of_the_last_day_leads_to_the_cause(page: Page, day: DayOfAFleet) -> None:
    page.get_by_role("link", name="Rank over the last day").click()
    table = page.get_by_role("table", name="Busiest nodes")
    table.get_by_role("button", name="Maximum").click()
    first = table.locator("tbody tr").first
    expect(first).to_contain_text(BUSY)
    expect(first).to_contain_text(re.compile(rf"{BUSY_PERCENT}\s%"))
    expect(first).to_contain_text(f"{CAUSE} 310")

    first.get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(BUSY)
    processes = page.get_by_role("table", name="Top processes")
    expect(processes.locator("tbody tr").first).to_contain_text(CAUSE)
    query = {name: int(values[0]) for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert abs(query["at"] * 1000 - (day.busy_from + day.busy_to) / 2) <= 2 * MINUTE
    assert query["from"] < query["at"] < query["to"]

    page.get_by_role("button", name="Show the current processes").click()
    expect(page.get_by_role("heading", name="Top processes", exact=True)).to_be_visible()
    expect(processes.locator("tbody tr").filter(has_text=CAUSE)).to_have_count(0)


def test_a_click_on_a_chart_shows_the_processes_of_that_time(page: Page, day: DayOfAFleet) -> None:
    start, end = day.busy_from // 1000 - 3600, day.busy_to // 1000 + 3600
    page.goto(f"/nodes/{BUSY}?from={start}&to={end}")
    rows = page.get_by_role("table", name="Top processes").locator("tbody tr")
    expect(rows.filter(has_text="postgres")).to_have_count(1)
    expect(rows.filter(has_text=CAUSE)).to_have_count(0)
    chart = page.get_by_role("figure", name="Load", exact=True)
    box = chart.locator(".u-over").bounding_box()
    assert box is not None
    chart.locator(".u-over").click(position={"x": box["width"] / 2, "y": 20})
    expect(rows.first).to_contain_text(CAUSE)
    # With the keyboard, Enter chooses the time of the crosshair.
    chart.locator(".chart-canvas").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(rows.filter(has_text=CAUSE)).to_have_count(0)


def test_a_measure_of_several_devices_ranks_by_the_busiest_one(page: Page) -> None:
    _open(page, "Busiest nodes")
    page.get_by_label("Measure").select_option("disk")
    rows = page.get_by_role("table", name="Busiest nodes").locator("tbody tr")
    expect(rows).to_have_count(len(POOLS))
    # The filesystem of web-3 is the fullest one, that of db-1 the emptiest.
    expect(rows.first).to_contain_text("web-3")
    expect(rows.last).to_contain_text("db-1")
    assert parse_qs(urlsplit(page.url).query)["measure"] == ["disk"]


def test_a_threshold_is_set_for_one_pool(page: Page, day: DayOfAFleet) -> None:
    _open(page, "Rules")
    page.get_by_label("Search rules").fill("cpu usage")
    page.get_by_role("link", name="NodeCPUUsageHigh").click()
    page.get_by_label("Pool").select_option("database")
    page.get_by_role("button", name="Add thresholds for the pool").click()
    page.get_by_role("group", name="Pool database").get_by_label("Warning: Threshold").fill("98")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".events").last).to_contain_text("ada")
    rule = day.hub.get("/api/v1/alert-rules/NodeCPUUsageHigh").json
    assert rule["settings"]["pools"] == {"database": {"warning": {"threshold": 98.0}}}


def test_a_pool_is_silenced_during_maintenance(page: Page, day: DayOfAFleet) -> None:
    _open(page, "Alerts")
    page.get_by_role("link", name="Silences and maintenance").click()
    page.get_by_role("button", name="New maintenance window").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Nightly updates")
    expect(dialog.get_by_text("Choose a pool or a node, or enter at least one label.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Save")).to_be_disabled()
    dialog.get_by_label("Pool").select_option("database")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("listitem").filter(has_text="Nightly updates")).to_contain_text('pool="database"')

    page.get_by_role("button", name="New silence").click()
    dialog.get_by_label("Pool").select_option("web")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_role("listitem").filter(has_text='pool="web"')).to_contain_text("Active")
    [silence] = day.hub.get("/api/v1/silences", state="active").json["data"]
    assert silence["author"] == "ada"


def test_a_node_is_silenced_for_work_that_starts_later(page: Page, day: DayOfAFleet) -> None:
    _open(page, "Alerts")
    page.get_by_role("link", name="Silences and maintenance").click()
    page.get_by_role("button", name="New silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Pool").select_option("web")
    dialog.get_by_label("Node").select_option("db-1")
    # A node is within its pool, so the dialog keeps one choice.
    expect(dialog.get_by_label("Pool")).to_have_value("")
    dialog.get_by_label("Start").fill("2099-06-01T22:00")
    dialog.get_by_label("Duration").select_option("4h")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(page.get_by_text("The silence starts at")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text='node="db-1"')).to_contain_text("Pending")
    [silence] = day.hub.get("/api/v1/silences", state="pending").json["data"]
    # The browser is in Berlin.
    assert (silence["starts"], silence["ends"]) == ("2099-06-01T20:00:00.000Z", "2099-06-02T00:00:00.000Z")


def test_the_history_names_who_acknowledged_the_alert_of_last_night(page: Page, day: DayOfAFleet) -> None:
    # A narrow time range of an earlier view must not hide the history.
    page.goto("/nodes/db-1?from=1780300800&to=1780304400")
    _open(page, "Alerts")
    page.get_by_role("navigation", name="Alerts").get_by_role("link", name="History").click()
    page.get_by_role("button", name="Last 7d").click()
    row = page.get_by_role("table").get_by_role("row").filter(has_text=ALERT_NODE)
    expect(row).to_contain_text(PERSON)
    row.get_by_role("link", name=ALERT).click()
    expect(page.locator(".events")).to_contain_text("Comment: A cache grows. I restart it.")
    # The alert leads to the node at that time, with the processes.
    page.get_by_role("link", name=f"{ALERT_NODE} at that time").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ALERT_NODE)
    expect(page.get_by_role("heading", name="Top processes at")).to_be_visible()
    fired = day.now - 10 * HOUR + 5 * MINUTE
    query = {name: int(values[0]) for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert abs(query["at"] * 1000 - fired) <= 1000
    assert query["from"] * 1000 < fired < query["to"] * 1000


def test_coverage_names_a_node_whose_series_no_alert_reads(page: Page, day: DayOfAFleet) -> None:
    day.push_without_labels("bare-1")
    _open(page, "Coverage")
    entry = page.get_by_role("list", name="Nodes without alerts").get_by_role("listitem")
    expect(entry).to_contain_text("bare-1")
    expect(entry).to_contain_text("Set the labels namespace: local and service: metricat")
