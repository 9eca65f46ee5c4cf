"""Each view in Chromium, on a running hub with two real agents."""

from __future__ import annotations

import csv
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from support.browser import WAIT, new_context, open_view
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.hub_process import HubProcess

PNG = b"\x89PNG\r\n"


def _query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_fleet_shows_each_node_as_tile_and_row(page: Page, hub: HubProcess) -> None:
    open_view(page, "/", hub.key)
    for name in ("web-1", "web-2"):
        tile = page.locator(f'.tile[data-node="{name}"]')
        expect(tile).to_contain_text(re.compile(r"CPU\s*\d+"))
        expect(page.get_by_role("table").get_by_role("link", name=name)).to_be_visible()


def test_fleet_filters_are_in_the_address(page: Page, hub: HubProcess) -> None:
    open_view(page, "/", hub.key)
    page.get_by_label("Pool").select_option("blue")
    expect(page.locator(".tile")).to_have_count(1)
    expect(page.locator(".tile")).to_have_attribute("data-node", "web-1")
    assert _query(page)["pool"] == ["blue"]
    page.reload()
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_label("Label", exact=True).fill("site=berlin")
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_label("Label", exact=True).fill("site=paris")
    expect(page.get_by_text("No node matches the filters.")).to_be_visible()


def test_fleet_table_sorts_by_a_column(page: Page, hub: HubProcess) -> None:
    open_view(page, "/", hub.key)
    names = page.locator("tbody tr td:nth-child(2)")
    head = page.get_by_role("button", name="Node", exact=True)
    head.click()
    expect(names).to_have_text(["web-1", "web-2"])
    head.click()
    expect(names).to_have_text(["web-2", "web-1"])
    expect(page.get_by_role("columnheader", name="Node")).to_have_attribute("aria-sort", "descending")
    assert _query(page)["sort"] == ["node.desc"]


def test_tiles_are_usable_with_the_keyboard(page: Page, hub: HubProcess) -> None:
    open_view(page, "/", hub.key)
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tile").nth(1)).to_be_focused()
    name = page.locator(".tile").nth(1).get_attribute("data-node")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(name or "")


def test_node_shows_charts_filesystems_processes_and_events(page: Page, hub: HubProcess) -> None:
    open_view(page, "/nodes/web-1?range=15m", hub.key)
    for title in ("CPU modes", "CPU cores", "Memory", "Load", "Network", "Filesystems"):
        chart = page.get_by_role("figure", name=title, exact=True)
        expect(chart.locator("canvas")).to_be_visible()
        expect(chart.locator(".legend-value").first).to_have_text(re.compile(r"\d"))
    expect(page.get_by_role("table", name="Filesystems").locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("table", name="Top processes").locator("tbody tr").first).to_contain_text(
        re.compile(r"\d"), timeout=WAIT
    )
    expect(page.get_by_role("heading", name="Events")).to_be_visible()


def test_a_filling_filesystem_has_the_forecast_of_the_hub(page: Page, hub: HubProcess) -> None:
    now = int(time.time()) * 1000
    labels = {"node": "filling", "instance": "filling", "pool": "green", "namespace": "local", "service": "metricat"}
    device = {**labels, "device": "/dev/sda1", "mountpoint": "/data", "fstype": "ext4"}

    def series(name: str, own: dict[str, str], first: float, last: float) -> Sent:
        points = [(now - minute * 60_000, last - (last - first) * minute / 360) for minute in range(360, -1, -1)]
        return Sent(sorted({**own, "__name__": name}.items()), points)

    body = request_1(
        [
            series("node_load1", labels, 1, 1),
            series("node_filesystem_size_bytes", device, 100, 100),
            series("node_filesystem_readonly", device, 0, 0),
            series("node_filesystem_avail_bytes", device, 90, 40),
        ]
    )
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", snappy(body), headers).status == 204
    open_view(page, "/nodes/filling?range=6h", hub.key)
    chart = page.get_by_role("figure", name="Filesystems", exact=True)
    line = chart.locator("li").filter(has=page.locator("[data-dashed]"))
    # 60 % now, and 8.3 % more each hour; the chart shows 90 minutes ahead.
    expect(line).to_contain_text(re.compile(r"/data.*7[1-4]\s%"))
    line.get_by_role("button").click()
    expect(line.get_by_role("button")).to_have_attribute("aria-pressed", "false")


def test_dragging_in_a_chart_zooms_all_charts_and_the_address(page: Page, hub: HubProcess) -> None:
    open_view(page, "/nodes/web-1?range=15m", hub.key)
    chart = page.get_by_role("figure", name="Load", exact=True).locator(".u-over")
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile("from="))
    first, last = int(_query(page)["from"][0]), int(_query(page)["to"][0])
    assert 300 <= last - first <= 420  # 40 % of 15 minutes
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_url(lambda url: f"from={first}" not in url)
    page.go_back()
    page.wait_for_url(re.compile(f"from={first}"))


def test_the_crosshair_is_shared_and_moves_with_the_keyboard(page: Page, hub: HubProcess) -> None:
    open_view(page, "/nodes/web-1?range=15m", hub.key)
    page.get_by_role("figure", name="Load", exact=True).locator(".chart-canvas").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    times = page.locator(".chart-time")
    expect(times.first).not_to_be_empty()
    shown = {text for text in times.all_inner_texts() if text}
    assert len(shown) == 1, shown


def test_an_unknown_node_has_a_way_back(page: Page, hub: HubProcess) -> None:
    open_view(page, "/nodes/none", hub.key)
    expect(page.get_by_text("No node has the name none")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Fleet").click()
    expect(page.locator(".tile").first).to_be_visible()


def test_compare_has_a_line_for_each_node(page: Page, hub: HubProcess) -> None:
    open_view(page, "/compare?nodes=web-1&range=15m", hub.key)
    page.get_by_label("Add a node").fill("web-2")
    page.get_by_label("Add a node").press("Enter")
    chart = page.get_by_role("figure", name="CPU", exact=True)
    expect(chart.locator(".legend-label")).to_have_text(["web-1", "web-2"])
    page.get_by_role("button", name="Remove web-1").click()
    expect(chart.locator(".legend-label")).to_have_text(["web-2"])
    assert _query(page)["nodes"] == ["web-2"]


def test_processes_of_all_nodes_are_searched_and_grouped(page: Page, hub: HubProcess) -> None:
    open_view(page, "/processes", hub.key)
    rows = page.get_by_role("table", name="Processes").locator("tbody tr")
    expect(rows.filter(has_text="web-1").first).to_be_visible()
    expect(rows.filter(has_text="web-2").first).to_be_visible()
    page.get_by_label("Search processes").fill("no process has this name")
    expect(rows).to_have_count(0)
    page.get_by_label("Search processes").fill("")
    page.get_by_label("Group by name").check()
    expect(page.get_by_role("columnheader", name="Count")).to_be_visible()


def test_explore_completes_metrics_labels_and_values(page: Page, hub: HubProcess) -> None:
    open_view(page, "/explore", hub.key)
    field = page.get_by_label("PromQL query")
    options = page.get_by_role("option")
    field.press_sequentially("node_load1")
    expect(options.filter(has_text="node_load15")).to_be_visible()
    field.press_sequentially("{no")
    expect(page.get_by_role("option", name="node label", exact=True)).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    field.press_sequentially('="web')
    expect(options.filter(has_text="web-2")).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")
    field.press_sequentially('"}')
    expect(field).to_have_value('node_load1{node="web-1"}')
    field.press("Enter")
    expect(page.locator(".legend-label")).to_have_count(1)
    assert _query(page)["q"] == ['node_load1{node="web-1"}']


def test_explore_shows_the_error_of_a_query(page: Page, hub: HubProcess) -> None:
    page.goto(f"/explore?q={quote('sum(')}#key={hub.key}")
    alert = page.get_by_role("main").get_by_role("alert")
    expect(alert).to_contain_text("The hub did not accept the request")


def test_charts_and_tables_are_exported(page: Page, hub: HubProcess) -> None:
    query = quote('node_load1{site="berlin"}')  # without the node whose disk another test fills
    open_view(page, f"/explore?q={query}&range=15m", hub.key)
    figure = page.get_by_role("figure")
    with page.expect_download() as image:
        figure.get_by_role("button", name="Export PNG").click()
    assert Path(image.value.path()).read_bytes().startswith(PNG)
    with page.expect_download() as table:
        figure.get_by_role("button", name="Export CSV").click()
    head, *rows = list(csv.reader(Path(table.value.path()).read_text().splitlines()))
    assert head[0] == "time"
    assert len(head) == 3
    assert any(float(row[1]) >= 0 for row in rows if row[1])
    page.get_by_role("button", name="Table", exact=True).click()
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(2)


def test_the_page_speaks_korean(browser: Browser, hub: HubProcess) -> None:
    context = new_context(browser, hub.url, language="ko-KR")
    page = context.new_page()
    open_view(page, "/", hub.key)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.get_by_role("heading", level=1)).to_have_text("전체 노드")
    open_view(page, "/rules/new", hub.key)
    options = page.locator("main option")
    expect(options.filter(has_text="메모리 사용률")).to_have_count(1)
    pools_and_operators = re.compile(r"blue|green|[<>=!]=?")
    others = [one for one in options.all_inner_texts() if not pools_and_operators.fullmatch(one)]
    assert [one for one in others if not re.search("[가-힣]", one)] == []
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rule")
    context.close()


@pytest.mark.parametrize("width", [360, 1280, 3840])
def test_no_view_scrolls_sideways(browser: Browser, hub: HubProcess, width: int) -> None:
    context = new_context(browser, hub.url, width=width)
    page = context.new_page()
    for path in ("/", "/nodes/web-1", "/busiest", "/compare?nodes=web-1", "/processes", "/explore?q=up"):
        open_view(page, path, hub.key)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    context.close()


def test_times_follow_the_chosen_zone(page: Page, hub: HubProcess) -> None:
    open_view(page, "/nodes/web-1?from=1780300800&to=1780304400", hub.key)  # 2026-06-01 08:00 UTC
    chosen = page.locator("#range option:checked")
    expect(chosen).to_contain_text("10:00:00")
    page.get_by_role("button", name="UTC").click()
    expect(chosen).to_have_text(re.compile(r"08:00:00 \S 09:00:00 UTC"))


TABLES = ("/", "/busiest?range=15m", "/alerts", "/alerts?tab=history&range=1h", "/processes", "/rules")


@pytest.mark.parametrize("width", [360, 1280])
def test_tables_fit_into_the_window(browser: Browser, hub: HubProcess, width: int) -> None:
    context = new_context(browser, hub.url, width=width)
    page = context.new_page()
    found = []
    for path in TABLES:
        open_view(page, path, hub.key)
        expect(page.locator(".table, .message").first).to_be_visible()
        widths = page.evaluate(
            "() => [...document.querySelectorAll('.table-frame')].map((one) => [one.scrollWidth, one.clientWidth])"
        )
        found += [f"{path}: {whole} > {shown} px" for whole, shown in widths if whole > shown + 1]
    context.close()
    assert not found, "\n".join(found)


def test_fields_of_a_row_have_one_height(page: Page, hub: HubProcess) -> None:
    open_view(page, "/alerts?tab=silences", hub.key)
    page.get_by_role("button", name="New silence").click()
    start, length = (page.get_by_role("dialog").get_by_label(name) for name in ("Start", "Duration"))
    expect(start).to_be_visible()
    boxes = [one.bounding_box() for one in (start, length)]
    assert all(boxes)
    tops, heights = zip(*((round(box["y"]), round(box["height"])) for box in boxes if box), strict=True)
    assert max(tops) - min(tops) <= 1
    assert max(heights) - min(heights) <= 2
