"""An alert from its cause to its history, as people see it: `metricat up`, a real load, mail, Slack and the page.

With METRICAT_PICTURES=FOLDER, the test also writes pictures of each view for the docs.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import Errors, new_context
from support.built_page import ensure_page
from support.certificates import self_signed
from support.hub_process import HubProcess, eventually, running
from support.smtp_server import Mailbox, mail_server
from support.webhook_sink import Sink, webhook_sink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PASSWORD = "correct horse battery"
ALERT = "BatchJobUsesCPU"
PROCESS = "batch-job"
LOAD_SECONDS = 300
"""The load ends then, also if the test is killed."""
CPU_RULE = {
    "name": ALERT,
    "expression": f'sum by (node) (metricat_process_cpu_ratio{{name="{PROCESS}"}}) > 0.02',
    "for": "10s",
    "interval": "1s",
    "severity": "warning",
    "annotations": {
        "summary": "A batch job uses CPU on {{ $labels.node }}.",
        "description": "The process uses {{ $value | humanizePercentage }} of a CPU.",
        "action": "Ask its owner to run it at night.",
    },
}
LOAD = f"""
import ctypes, time
ctypes.CDLL(None).prctl(15, b"{PROCESS}")
end = time.monotonic() + {LOAD_SECONDS}
while time.monotonic() < end:
    pass
"""
FORMS = (("light", 1280, 800), ("dark", 1280, 800), ("phone", 360, 720))
PICTURES = os.environ.get("METRICAT_PICTURES", "")


@contextmanager
def load() -> Iterator[None]:
    """Keep one CPU busy, for a bounded time."""
    process = subprocess.Popen([sys.executable, "-c", LOAD])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """Run a mail server that requires TLS."""
    self_signed(tmp_path, "mail", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mail.crt", tmp_path / "mail.key")
    with mail_server(starttls=context, login=True) as found:
        yield found


@pytest.fixture
def slack() -> Iterator[Sink]:
    with webhook_sink() as found:
        yield found


@pytest.fixture
def machine(tmp_path: Path, mailbox: Mailbox, slack: Sink) -> Iterator[HubProcess]:
    """Run `metricat up` with a receiver by mail and Slack."""
    ensure_page()
    channels = {
        "email_configs": [
            {
                "to": "ops@example.org",
                "from": "hub@example.org",
                "smarthost": f"localhost:{mailbox.port}",
                "auth_username": "metricat",
                "auth_password": "open sesame",
                "tls_config": {"ca_file": str(tmp_path / "mail.crt")},
            }
        ],
        "slack_configs": [{"api_url": slack.url, "mentions": ["here"]}],
    }
    config = tmp_path / "hub.yaml"
    matcher = f'alertname="{ALERT}"'
    routes = [{"receiver": "on-call", "matchers": [matcher]}]
    config.write_text(
        json.dumps(
            {
                "receivers": [{"name": "on-call", **channels}, {"name": "nobody"}],
                "route": {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"}
                | {"routes": routes},
            }
        )
    )
    options = (f"--config.file={config}", "--collect.interval=1s")
    with running(tmp_path / "data", *options, subcommand=("up",)) as found:
        yield found


class Camera:
    """Takes pictures of a view in each form, if the test writes pictures."""

    def __init__(self, browser: Browser, hub: HubProcess) -> None:
        self.browser, self.hub = browser, hub

    def take(self, name: str, path: str, *forms: str, ready: str = "") -> None:
        """Write the pictures of a view once it has data, and `ready` is shown."""
        if not PICTURES:
            return
        for form, width, height in FORMS:
            if forms and form not in forms:
                continue
            scheme = "dark" if form == "dark" else "light"
            context = new_context(self.browser, self.hub.url, width=width, height=height, scheme=scheme)
            page = context.new_page()
            page.goto(f"{path}#key={self.hub.key}")
            expect(page.locator(".live")).to_have_attribute("data-state", "live")
            expect(page.locator(".loading")).to_have_count(0)
            expect(page.locator(".tile, canvas, tbody tr, .figure, .count, form, .entry").first).to_be_visible()
            if ready:
                expect(page.get_by_text(ready).first).to_be_visible()
            file = Path(PICTURES) / f"{name}-{form}.png"
            page.screenshot(path=file, animations="disabled")
            if program := shutil.which("pngquant"):
                subprocess.run([program, "--force", "--ext=.png", "--strip", "64", str(file)], check=True)
            context.close()


def _sign_in(browser: Browser, hub: HubProcess, path: str) -> Page:
    body = json.dumps({"name": "ada", "password": PASSWORD, "role": "editor"}).encode()
    assert hub.post("/api/v1/users", body, {"Content-Type": "application/json"}).status == 201
    page = new_context(browser, hub.url).new_page()
    page.goto(path)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#content")).to_be_visible()
    return page


def _subjects(mailbox: Mailbox) -> list[str]:
    return [str(mail.message["Subject"]) for mail in mailbox.mails]


@pytest.mark.slow
def test_an_alert_from_a_real_load_to_the_history(
    browser: Browser, machine: HubProcess, mailbox: Mailbox, slack: Sink
) -> None:
    node = socket.gethostname()
    camera = Camera(browser, machine)
    page = _sign_in(browser, machine, f"/alerts?search={ALERT}")
    errors = Errors(page)
    made = machine.post("/api/v1/alert-rules", json.dumps(CPU_RULE).encode(), {"Content-Type": "application/json"})
    assert made.status == 201, made.body
    rule = f"/rules/{made.json['id']}?range=15m"
    row = page.get_by_role("row").filter(has_text=ALERT)
    with load():
        expect(row).to_contain_text("Pending")
        camera.take("alert-pending", f"/alerts?search={ALERT}", "light", ready=ALERT)
        expect(row).to_contain_text("Warning")
        expect(row).not_to_contain_text("Pending")
        camera.take("alert-firing", f"/alerts?search={ALERT}", "light", ready=ALERT)
        assert eventually(lambda: len(mailbox.mails) > 0)
        [mail, *_] = mailbox.mails
        assert (mail.is_encrypted, mail.user, mail.to) == (True, "metricat", ["ops@example.org"])
        assert ALERT in str(mail.message["Subject"])
        body = mail.message.get_body(("plain",))
        assert body is not None
        assert f"A batch job uses CPU on {node}." in body.get_content()
        [message, *_] = slack.wait(len)
        assert ALERT in json.dumps(message["attachments"] if "attachments" in message else message["blocks"])

        row.get_by_role("button", name="Acknowledge").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Comment").fill("I ask the owner")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(row).to_contain_text("Acknowledged by ada")
        fingerprint = machine.get("/api/v1/alerts/active", alert=ALERT).json["data"][0]["fingerprint"]
        camera.take("alert", f"/alerts/{fingerprint}?range=15m", ready="I ask the owner")
        camera.take("alerts", "/alerts", ready=ALERT)
        camera.take("fleet", "/")
        camera.take("node", f"/nodes/{node}?range=15m")
        camera.take("processes", "/processes", "light", "phone")
        camera.take("rule", rule, "light", "dark")
    expect(page.get_by_text("No alert")).to_be_visible()
    assert eventually(lambda: any("resolved" in subject.lower() for subject in _subjects(mailbox))), _subjects(mailbox)
    page.goto(f"/alerts?tab=history&range=1h&alert={ALERT}")
    entry = page.get_by_role("table").get_by_role("row").last
    expect(entry).to_contain_text("ada")
    [episode] = machine.get("/api/v1/alerts/history", alert=ALERT).json["data"]
    assert episode["resolved"]
    assert "ada" in episode["acknowledged_by"]
    camera.take("history", "/alerts?tab=history&range=1h", ready=ALERT)
    camera.take("compare", f"/compare?nodes={node}&range=15m", "light")
    camera.take("explore", "/explore?q=sum%20by%20(mode)%20(rate(node_cpu_seconds_total%5B1m%5D))&range=15m", "dark")
    camera.take("rules", "/rules", "light")
    camera.take("coverage", "/coverage")
    camera.take("receivers", "/settings", "light", "phone", ready="on-call")
    assert errors.found == []
