"""Receivers on the page: a test by a real mail and a real request, and notifications that the hub gave up."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import Errors, new_context, open_view
from support.built_page import ensure_page
from support.hub_process import HubProcess, create_key, eventually, running
from support.scripted_receiver import Receiver, Reply, receiving
from support.smtp_server import Mailbox, mail_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ALERT = "AlwaysFiring"
SECRET_PATH = "/services/T000/B000/open-sesame"
RULE = {"name": ALERT, "expression": "vector(1)", "for": "0s", "interval": "1s", "severity": "warning"}


@dataclass
class Setup:
    hub: HubProcess
    mailbox: Mailbox
    webhook: Receiver


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """Run a hub with a receiver whose mail works, and one whose webhook rejects everything."""
    ensure_page()
    folder = tmp_path_factory.mktemp("receivers")
    with mail_server() as mailbox, receiving() as webhook:
        webhook.replies = [Reply(400, body=f"unknown path {SECRET_PATH}".encode())]
        mail = {
            "to": "ops@example.org",
            "from": "hub@example.org",
            "smarthost": f"127.0.0.1:{mailbox.port}",
            "require_tls": False,
        }
        receivers = [
            {"name": "chat", "webhook_configs": [{"url": f"http://127.0.0.1:{webhook.port}{SECRET_PATH}"}]},
            {"name": "team", "email_configs": [mail]},
        ]
        route = {"receiver": "chat", "group_wait": "0s", "group_interval": "1s"}
        config = folder / "hub.yaml"
        config.write_text(json.dumps({"receivers": receivers, "route": route}))
        options = (f"--config.file={config}", "--collect.interval=1s", "--no-rules.shipped")
        with running(folder / "data", *options) as hub:
            yield Setup(hub, mailbox, webhook)


def _view(browser: Browser, hub: HubProcess, key: str) -> tuple[Page, Errors]:
    page = new_context(browser, hub.url).new_page()
    errors = Errors(page)
    open_view(page, "/settings", key)
    return page, errors


def test_a_test_shows_the_result_of_each_channel(browser: Browser, setup: Setup) -> None:
    page, errors = _view(browser, setup.hub, setup.hub.key)
    mail = page.get_by_role("list", name="team").get_by_role("listitem")
    expect(mail).to_contain_text("Not used yet")
    buttons = page.get_by_role("button", name="Send a test")
    buttons.nth(1).click()
    expect(mail.get_by_role("status")).to_have_text(re.compile(r"Test: delivered in \d+ ms"))
    assert [one.to for one in setup.mailbox.mails] == [["ops@example.org"]]

    requests = len(setup.webhook.requests)
    buttons.first.click()
    chat = page.get_by_role("list", name="chat").get_by_role("listitem")
    expect(chat.get_by_role("status")).to_contain_text("status 400: unknown path <secret>")
    assert len(setup.webhook.requests) == requests + 1
    assert "open-sesame" not in page.content()
    assert errors.found == []
    page.context.close()


def test_a_dead_letter_is_sent_again_and_another_removed(browser: Browser, setup: Setup) -> None:
    hub = setup.hub

    def letters() -> list[dict[str, object]]:
        found: list[dict[str, object]] = hub.get("/api/v1/notifications/dead-letters").json["data"]
        return found

    headers = {"Content-Type": "application/json"}
    assert hub.post("/api/v1/alert-rules", json.dumps(RULE).encode(), headers).status == 201
    assert eventually(lambda: len(letters()) == 1)
    page, errors = _view(browser, hub, hub.key)
    rows = page.get_by_role("list", name="Dead letters").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(ALERT)
    expect(rows).to_contain_text("status 400: unknown path <secret>")
    expect(page.get_by_role("list", name="chat")).to_contain_text("1 dead letters")
    assert "open-sesame" not in page.content()

    setup.webhook.replies = [Reply(200)]
    sent = len(setup.webhook.requests)
    rows.get_by_role("button", name="Send again").click()
    expect(
        page.get_by_text("No dead letter. A dead letter is a notification that the hub no longer tries to deliver.")
    ).to_be_visible()
    setup.webhook.wait(sent + 1, 60)
    assert ALERT in setup.webhook.requests[sent].body.decode()
    assert letters() == []

    setup.webhook.replies = [Reply(400)]
    second = {**RULE, "name": "SecondAlert"}
    assert hub.post("/api/v1/alert-rules", json.dumps(second).encode(), headers).status == 201
    assert eventually(lambda: len(letters()) == 1)
    page.reload()
    expect(rows).to_contain_text("SecondAlert")
    rows.get_by_role("button", name="Remove").click()
    expect(
        page.get_by_text("No dead letter. A dead letter is a notification that the hub no longer tries to deliver.")
    ).to_be_visible()
    assert letters() == []
    assert errors.found == []
    page.context.close()


def test_a_reader_cannot_test_a_receiver(browser: Browser, setup: Setup) -> None:
    page, errors = _view(browser, setup.hub, create_key(setup.hub, "read"))
    expect(page.get_by_role("list", name="chat")).to_be_visible()
    expect(page.get_by_role("button", name="Send a test")).to_have_count(0)
    assert errors.found == []
    page.context.close()
