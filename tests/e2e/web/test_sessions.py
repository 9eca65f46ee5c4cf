"""Sign in and out: password, API key, first administrator, and an expired session."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import new_context
from support.hub_process import command

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from support.hub_process import HubProcess

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def user(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Add a viewer; return the name."""
    file: Path = tmp_path_factory.mktemp("user") / "password"
    file.write_text(PASSWORD)
    subprocess.run(
        command("hub", "users", "add", "ada", "--role=viewer", f"--password-file={file}", f"--data={hub.data}"),
        check=True,
        capture_output=True,
    )
    return "ada"


@pytest.fixture
def blank(browser: Browser, hub: HubProcess) -> Page:
    """Return a page without credentials. The hub answers its first request with 401, which the console reports."""
    return new_context(browser, hub.url).new_page()


def _sign_in(page: Page, user: str, password: str) -> None:
    page.get_by_label("Name").fill(user)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_user_signs_in_and_out(blank: Page, user: str) -> None:
    blank.goto("/nodes/web-1")
    _sign_in(blank, user, "wrong password")
    expect(blank.get_by_role("alert")).to_contain_text("Sign-in failed")
    _sign_in(blank, user, PASSWORD)
    expect(blank.locator("h1")).to_have_text("web-1")
    blank.reload()
    expect(blank.locator("h1")).to_have_text("web-1")
    assert blank.evaluate("document.cookie") == ""
    assert blank.evaluate("JSON.stringify([localStorage, sessionStorage])").count("token") == 0
    blank.get_by_role("button", name="Sign out").click()
    expect(blank.get_by_role("button", name="Sign in")).to_be_visible()
    blank.reload()
    expect(blank.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_next_user_does_not_see_the_nodes_of_the_user_before(blank: Page, user: str) -> None:
    blank.goto("/")
    _sign_in(blank, user, PASSWORD)
    expect(blank.locator(".tile").first).to_be_visible()
    blank.get_by_role("button", name="Sign out").click()
    blank.route("**/api/nodes*", lambda _: None)  # the nodes of the next user never arrive
    _sign_in(blank, user, PASSWORD)
    expect(blank.get_by_role("status").filter(has_text="Loading")).to_be_visible()
    expect(blank.locator(".tile")).to_have_count(0)


def test_a_user_ends_the_session_of_another_browser(browser: Browser, blank: Page, hub: HubProcess, user: str) -> None:
    other = new_context(browser, hub.url).new_page()
    for page in (other, blank):
        page.goto("/settings?tab=account")
        _sign_in(page, user, PASSWORD)
    sessions = blank.get_by_role("list", name="Sessions").get_by_role("listitem")
    expect(sessions.filter(has_text="this browser")).to_have_count(1)
    expect(sessions.first).to_contain_text("Chrome, Linux")
    # The newest one is this browser, and the one before is the other browser.
    sessions.nth(1).get_by_role("button", name="End the session").click()
    blank.get_by_role("dialog").get_by_role("button", name="End the session").click()
    other.reload()
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()
    expect(blank.get_by_role("dialog")).to_have_count(0)
    other.context.close()


def test_an_expired_access_token_is_refreshed(blank: Page, user: str) -> None:
    blank.goto("/")
    _sign_in(blank, user, PASSWORD)
    expect(blank.locator(".tile").first).to_be_visible()
    blank.context.clear_cookies(name="metricat-session")
    blank.reload()
    expect(blank.locator(".tile").first).to_be_visible()
    names = [cookie.get("name") for cookie in blank.context.cookies()]
    assert "metricat-session" in names


def test_an_ended_session_shows_the_sign_in_view(blank: Page, user: str) -> None:
    blank.goto("/explore?q=up")
    _sign_in(blank, user, PASSWORD)
    expect(blank.locator(".legend-label").first).to_be_visible()
    blank.context.clear_cookies()
    # The next refresh of the nodes is rejected.
    expect(blank.get_by_role("button", name="Sign in")).to_be_visible()
    _sign_in(blank, user, PASSWORD)
    expect(blank.locator("h1")).to_have_text("Explore")


def test_an_api_key_is_kept_by_the_tab_only(blank: Page, hub: HubProcess) -> None:
    blank.goto("/")
    blank.get_by_role("button", name="API key").click()
    blank.get_by_role("textbox", name="API key").fill("metricat_0123456789ab_wrong")
    blank.get_by_role("button", name="Sign in").click()
    expect(blank.get_by_role("alert")).to_be_visible()
    blank.get_by_role("textbox", name="API key").fill(hub.key)
    blank.get_by_role("button", name="Sign in").click()
    expect(blank.locator(".tile").first).to_be_visible()
    assert hub.key not in blank.url
    other = blank.context.new_page()
    other.goto("/")
    expect(other.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_key_of_a_link_leaves_the_address(blank: Page, hub: HubProcess) -> None:
    blank.goto(f"/#key={hub.key}")
    expect(blank.locator(".tile").first).to_be_visible()
    assert blank.url == f"{hub.url}/"
