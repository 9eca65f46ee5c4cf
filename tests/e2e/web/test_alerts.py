"""Alerts, rules, coverage and settings: what people do there, and what their role does not allow."""

from __future__ import annotations

import json
import re
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import new_context, open_view
from support.hub_process import eventually, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from support.hub_process import HubProcess

PASSWORD = "correct horse battery"
ROLES = ("viewer", "editor", "admin")
ALERT = "MemoryInUse"
RULE = {"name": ALERT, "measure": "memory_usage_percent", "operator": ">", "threshold": 0, "interval": "1s"}
PENDING = "LongMemoryUse"
SUMMARY = "The programs on this node have used more memory than expected since the update"
LONG_SUMMARY = f"{SUMMARY}, {SUMMARY.lower()}, and {SUMMARY.lower()}"


def _active(hub: HubProcess) -> dict[str, str]:
    """Return the fingerprints of the alert by node."""
    found = hub.get("/api/v1/alerts/active", alert=ALERT, state="firing").json["data"]
    return {one["node"]: one["fingerprint"] for one in found}


@pytest.fixture(scope="module")
def people(hub: HubProcess) -> None:
    """Add a user for each role."""
    for role in ROLES:
        body = json.dumps({"name": f"{role}-1", "password": PASSWORD, "role": role}).encode()
        assert hub.post("/api/v1/users", body, {"Content-Type": "application/json"}).status == 201


@pytest.fixture(scope="module")
def firing(hub: HubProcess) -> Iterator[dict[str, str]]:
    """Return the fingerprints of an alert that fires on both nodes."""
    made = hub.post("/api/v1/alert-rules", json.dumps(RULE).encode(), {"Content-Type": "application/json"})
    assert made.status == 201, made.body
    assert eventually(lambda: set(_active(hub)) == {"web-1", "web-2"})
    yield _active(hub)
    path = f"{hub.url}/api/v1/alert-rules/{made.json['id']}"
    send(path, headers={**hub.authorization, "If-Match": "*"}, method="DELETE")


@pytest.fixture(scope="module")
def pending(hub: HubProcess) -> Iterator[str]:
    """Return the fingerprint of a critical alert with a long summary, which stays pending on both nodes."""
    summaries = {"summary": f'{{{{ if eq $labels.node "web-1" }}}}{SUMMARY}{{{{ else }}}}{LONG_SUMMARY}{{{{ end }}}}'}
    rule = {**RULE, "name": PENDING, "for": "1h", "severity": "critical", "annotations": summaries}
    made = hub.post("/api/v1/alert-rules", json.dumps(rule).encode(), {"Content-Type": "application/json"})
    assert made.status == 201, made.body

    def found() -> dict[str, str]:
        active = hub.get("/api/v1/alerts/active", alert=PENDING, state="pending").json["data"]
        return {one["node"]: one["fingerprint"] for one in active}

    assert eventually(lambda: set(found()) == {"web-1", "web-2"})
    yield found()["web-1"]
    path = f"{hub.url}/api/v1/alert-rules/{made.json['id']}"
    send(path, headers={**hub.authorization, "If-Match": "*"}, method="DELETE")


def _has_role(hub: HubProcess, role: str) -> bool:
    return bool(hub.get("/api/v1/users/viewer-1").json["role"] == role)


def _signed_in(browser: Browser, hub: HubProcess, role: str, path: str) -> Page:
    page = new_context(browser, hub.url).new_page()
    page.goto(path)
    page.get_by_label("Name").fill(f"{role}-1")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#content")).to_be_visible()
    return page


@pytest.mark.usefixtures("people")
def test_an_editor_acknowledges_and_silences_an_alert(
    browser: Browser, hub: HubProcess, firing: dict[str, str]
) -> None:
    page = _signed_in(browser, hub, "editor", f"/alerts?search={ALERT}")
    row = page.get_by_role("row").filter(has_text=ALERT).filter(has_text="web-1")
    row.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Comment").fill("looking at it")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("Acknowledged by editor-1")

    row.get_by_role("link", name=ALERT).click()
    expect(page).to_have_url(re.compile(f"/alerts/{firing['web-1']}"))
    expect(page.locator("#content")).to_contain_text("looking at it")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(dialog.get_by_label(f'alertname="{ALERT}"')).to_be_checked()
    expect(dialog.get_by_label('node="web-1"')).to_be_checked()
    expect(dialog).to_contain_text("Matches 1 of the current alerts.")
    dialog.get_by_label("Comment").fill("planned work")
    dialog.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator(".summary-head")).to_contain_text("Silenced")
    found = hub.get("/api/v1/silences", state="active").json["data"]
    assert [(one["author"], one["comment"]) for one in found] == [("editor-1", "planned work")]

    page.goto("/alerts?tab=silences")
    silence = page.get_by_role("listitem").filter(has_text="planned work")
    silence.get_by_role("button", name="End the silence").click()
    dialog.get_by_role("button", name="End the silence").click()
    expect(silence).to_contain_text("Expired")
    page.context.close()


def test_a_pending_alert_shows_its_severity_in_each_view(page: Page, hub: HubProcess, pending: str) -> None:
    def shows_both(place: Locator) -> None:
        expect(place.locator(".badges .badge")).to_have_text(["Critical", "Pending"])

    open_view(page, "/alerts", hub.key)
    rows = page.get_by_role("row").filter(has_text=PENDING)
    shows_both(rows.first)
    shows_both(rows.last)
    # Each choice keeps the alerts that have its badge.
    for choice, count in (("Critical", 2), ("Pending", 2), ("Warning", 0)):
        page.get_by_role("group", name="State").get_by_role("button", name=choice).click()
        expect(rows).to_have_count(count)
    open_view(page, f"/alerts/{pending}", hub.key)
    shows_both(page.locator(".summary-head"))
    open_view(page, "/nodes/web-1?range=15m", hub.key)
    alert = page.get_by_role("region", name="Alerts").get_by_role("listitem").filter(has_text=SUMMARY)
    shows_both(alert)
    # The node leads to the list, where people acknowledge and silence.
    alert.locator("summary").click()
    alert.get_by_role("link", name="Show in Alerts").click()
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("web-1")


@pytest.mark.usefixtures("pending", "firing")
def test_firing_alerts_are_before_pending_ones_of_a_higher_severity(page: Page, hub: HubProcess) -> None:
    open_view(page, "/alerts", hub.key)
    names = page.get_by_role("table", name="Alerts").locator(".cell-link")
    expect(names.filter(has_text=re.compile(f"^({ALERT}|{PENDING})$"))).to_have_text([ALERT, ALERT, PENDING, PENDING])


@pytest.mark.usefixtures("pending")
@pytest.mark.parametrize("width", [1280, 360])
def test_the_summary_of_an_alert_has_two_lines(browser: Browser, hub: HubProcess, width: int) -> None:
    context = new_context(browser, hub.url, width=width)
    page = context.new_page()
    open_view(page, f"/alerts?search={PENDING}", hub.key)
    rows = page.get_by_role("row").filter(has_text=PENDING)
    cells = rows.locator(".two-lines")
    expect(cells).to_have_count(2)
    size = "cell => [cell.clientHeight, cell.scrollHeight, parseFloat(getComputedStyle(cell).lineHeight)]"
    for cell in cells.all():
        shown, whole, line = cell.evaluate(size)
        assert 1.5 * line < shown < 2.5 * line
        assert whole >= shown
    # The summary of a shipped alert is at most as long as this one.
    shown, whole, _ = cells.filter(has_not_text=LONG_SUMMARY).evaluate(size)
    assert whole <= shown or width < 1280
    long = cells.filter(has_text=LONG_SUMMARY)
    shown, whole, _ = long.evaluate(size)
    assert whole > shown
    # The rest is in the tooltip, for screen readers, and in the view of the alert.
    assert long.get_attribute("title") == LONG_SUMMARY
    expect(long).to_have_text(f"{PENDING} {LONG_SUMMARY}")
    long.get_by_role("link", name=PENDING).click()
    text = page.get_by_text(LONG_SUMMARY, exact=True)
    expect(text).to_be_visible()
    assert text.evaluate("p => p.scrollHeight <= p.clientHeight && p.scrollWidth <= p.clientWidth")
    context.close()


@pytest.mark.usefixtures("firing")
def test_the_history_names_the_person_who_acknowledged(page: Page, hub: HubProcess) -> None:
    fingerprint = _active(hub)["web-2"]
    path = f"{hub.url}/api/v1/alerts/{fingerprint}/acknowledge"
    headers = {**hub.authorization, "Content-Type": "application/json"}
    assert send(path, b'{"comment": "by key"}', headers, "POST").status == 200
    assert eventually(
        lambda: any(
            one["acknowledged_by"] for one in hub.get("/api/v1/alerts/history", alert=ALERT, node="web-2").json["data"]
        )
    )
    open_view(page, f"/alerts?tab=history&range=1h&alert={ALERT}&node=web-2", hub.key)
    expect(page.get_by_role("table").get_by_role("row").last).to_contain_text("first key")
    expect(page.locator(".gantt-bar").first).to_be_visible()
    # On a phone, the bars have the whole width, and the times of the axis do not overlap.
    page.set_viewport_size({"width": 360, "height": 720})
    bars = page.locator(".gantt-row").first.bounding_box()
    assert bars is not None
    assert bars["width"] > 250
    times = page.evaluate("""() => [...document.querySelectorAll(".gantt-times span")].map((one) => {
        const box = one.getBoundingClientRect();
        return [box.left, box.right];
    })""")
    assert all(end < start for (_, end), (start, _) in pairwise(times)), times
    page.set_viewport_size({"width": 1280, "height": 800})
    open_view(page, f"/alerts/{fingerprint}", hub.key)
    expect(page.locator(".events")).to_contain_text("Acknowledged")


def test_a_maintenance_window_is_planned_for_a_pool(page: Page, hub: HubProcess) -> None:
    open_view(page, "/alerts?tab=silences", hub.key)
    page.get_by_role("button", name="New maintenance window").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Updates")
    dialog.get_by_label("Sun").check()
    dialog.get_by_label("Pool").select_option("blue")
    dialog.get_by_role("button", name="Save").click()
    window = page.get_by_role("listitem").filter(has_text="Updates")
    expect(window).to_contain_text("Sat, Sun, 22:00")
    expect(window).to_contain_text('pool="blue"')
    window.get_by_role("button", name="Disable").click()
    expect(window).to_contain_text("Disabled")
    window.get_by_role("button", name="Remove: Updates").click()
    dialog.get_by_role("button", name="Remove").click()
    expect(window).to_have_count(0)


def test_a_threshold_of_a_pool_is_tried_saved_and_undone(page: Page, hub: HubProcess) -> None:
    path = "/api/v1/alert-rules/NodeMemoryUsageHigh"
    body = json.dumps({"rule": {"pools": {"green": {"warning": {"threshold": 1}}}}}).encode()
    # The alert reads a recording rule, whose first samples follow some time after the start.
    assert eventually(
        lambda: bool(hub.post(f"{path}/dry-run", body, {"Content-Type": "application/json"}).json["alerts"])
    )
    open_view(page, "/rules/NodeMemoryUsageHigh?range=15m", hub.key)
    page.get_by_label("Pool").select_option("green")
    page.get_by_role("button", name="Add thresholds for the pool").click()
    pool = page.get_by_role("group", name="Pool green")
    pool.get_by_label("Warning: Threshold").fill("1")
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("region", name="Try now")).to_contain_text("web-2")
    page.get_by_role("button", name="Backtest over the time range").click()
    expect(page.get_by_role("figure", name="Value of the expression in this time range")).to_be_visible()
    results = page.get_by_role("region", name="Backtest over the time range").get_by_role("listitem")
    expect(results.filter(has_text="Pool green").first).to_contain_text("Fired")
    expect(results.filter(has_text="Other nodes").first).to_contain_text("Fired")
    page.get_by_label("Reason of the change").fill("green has little memory")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".events").last).to_contain_text("green has little memory")
    assert hub.get(path).json["settings"]["pools"] == {"green": {"warning": {"threshold": 1.0}}}
    # The charts of a node show the thresholds of its own pool only.
    shown = {}
    for name in ("web-1", "web-2"):
        other = page.context.new_page()
        open_view(other, f"/nodes/{name}?range=15m", hub.key)
        chart = other.get_by_role("figure", name="Memory", exact=True).locator(".chart-canvas")
        expect(chart).to_have_attribute("aria-label", re.compile("Threshold Warning"))
        shown[name] = re.findall(r"Threshold Warning: [^.]+", chart.get_attribute("aria-label") or "")
        other.close()
    # Rules of other tests have the same thresholds in both charts.
    one, two = map(set, shown.values())
    assert (len(one - two), len(two - one)) == (1, 1), shown
    page.get_by_role("button", name="Undo the last change").click()
    expect(page.locator(".events").last).to_contain_text("restored")
    assert not (hub.get(path).json["settings"] or {}).get("pools")


def test_a_new_rule_is_for_one_pool(page: Page, hub: HubProcess) -> None:
    open_view(page, "/rules/new", hub.key)
    form = page.get_by_role("form", name="Settings")
    form.get_by_label("Name").fill("MemoryOfGreen")
    form.get_by_label("Measure", exact=True).select_option("memory_usage_percent")
    form.get_by_label("Threshold", exact=True).fill("0")
    form.get_by_label("Pool").select_option("green")
    form.get_by_label("For", exact=True).fill("0s")
    form.get_by_label("Cooldown").fill("30")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text('pool="green"').first).to_be_visible()

    def nodes() -> list[str]:
        return [one["node"] for one in hub.get("/api/v1/alerts/active", alert="MemoryOfGreen").json["data"]]

    assert eventually(lambda: nodes() == ["web-2"]), nodes()
    [rule] = [one for one in hub.get("/api/v1/alert-rules").json["data"] if one["name"] == "MemoryOfGreen"]
    assert rule["settings"]["cooldown_minutes"] == 30
    # The message names the processes that use the memory, and what to do.
    [alert] = hub.get("/api/v1/alerts/active", alert="MemoryOfGreen").json["data"]
    assert re.search(r"Top processes: .+ \(pid \d+\)", alert["annotations"]["description"])
    assert alert["annotations"]["action"].startswith("Check whether the memory")
    headers = {**hub.authorization, "If-Match": "*"}
    assert send(f"{hub.url}/api/v1/alert-rules/{rule['id']}", headers=headers, method="DELETE").status in (200, 204)


@pytest.mark.usefixtures("people", "firing")
def test_a_viewer_sees_no_button_that_changes_something(browser: Browser, hub: HubProcess) -> None:
    page = _signed_in(browser, hub, "viewer", f"/alerts?search={ALERT}")
    expect(page.get_by_role("row").filter(has_text=ALERT)).to_have_count(2)
    for name in ("Acknowledge", "Silence"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    page.goto("/rules/NodeMemoryUsageHigh")
    expect(page.get_by_text("Your role allows reading only.")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    page.goto("/settings?tab=users")
    expect(page.get_by_text("Only administrators can change this.")).to_be_visible()
    page.context.close()


@pytest.mark.usefixtures("people")
def test_an_administrator_manages_users_and_keys(browser: Browser, hub: HubProcess) -> None:
    page = _signed_in(browser, hub, "admin", "/settings?tab=users")
    for role in ("editor", "viewer"):
        page.get_by_label("Role of viewer-1").select_option(role)
        assert eventually(partial(_has_role, hub, role))
        # The next change needs the version of the user after this one.
        page.reload()
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("backup")
    dialog.get_by_role("button", name="Create the key").click()
    key = dialog.locator(".secret").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    assert send(f"{hub.url}/api/v1/me", headers=headers).json["scopes"] == ["read"]
    page.keyboard.press("Escape")
    page.reload()
    entry = page.get_by_role("listitem").filter(has_text="backup")
    expect(entry).to_contain_text("Active")
    assert key not in page.content()
    entry.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(entry).to_contain_text("Revoked")
    assert send(f"{hub.url}/api/v1/me", headers=headers).status == 401
    page.context.close()


def test_coverage_counts_the_nodes_that_are_monitored(page: Page, hub: HubProcess) -> None:
    open_view(page, "/coverage", hub.key)
    expect(page.get_by_role("listitem").filter(has_text="Monitored")).to_have_text(re.compile(r"Monitored\s*2$"))
