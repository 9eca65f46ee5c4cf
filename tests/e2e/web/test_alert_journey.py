"""An alert from its cause to its history, as people see it: `metricat up`, a real load, mail, Slack and the page.

With METRICAT_PICTURES=FOLDER, the test also writes pictures of each view for the docs.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from metricat_hub.evaluation.shipped import LABELS
from metricat_tools.screenshots.camera import FORMS, VIEWS, Camera, Form
from support.browser import Errors, new_context
from support.built_page import ensure_page
from support.certificates import self_signed
from support.hub_process import HubProcess, eventually, running
from support.smtp_server import Mailbox, mail_server
from support.webhook_sink import Sink, webhook_sink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser, Page

PASSWORD = "correct horse battery"
ALERT = "BatchJobUsesCPU"
PROCESS = "batch-job"
NODE = socket.gethostname()
LOAD_SECONDS = 900
"""The load ends then, also if the test is killed."""
CPU_RULE = {
    "name": ALERT,
    "expression": f'sum by (node) (metricat_process_cpu_ratio{{name="{PROCESS}", node="{NODE}"}}) > 0.02',
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
PICTURES = os.environ.get("METRICAT_PICTURES", "")
POOLS = {"build-1": "batch", "db-1": "database", "db-2": "database", "web-1": "web", "web-2": "web", "web-3": "web"}
"""Further nodes of the pictures, with their pools. One agent has all these names."""


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
def machine(
    tmp_path: Path, mailbox: Mailbox, slack: Sink, agents: dict[str, tuple[subprocess.Popen[bytes], int]]
) -> Iterator[HubProcess]:
    """Run `metricat up` with a receiver by mail and Slack, and further nodes."""
    ensure_page()
    [(_, port), *_] = agents.values()
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
    nodes = [
        {"targets": [f"127.0.0.1:{port}"], "labels": {**LABELS, "node": node, "instance": node, "pool": pool}}
        for node, pool in POOLS.items()
    ]
    config.write_text(
        json.dumps(
            {
                "scrape_configs": [{"job_name": "nodes", "static_configs": nodes}],
                "receivers": [{"name": "on-call", **channels}, {"name": "nobody"}],
                "route": {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"}
                | {"routes": routes},
            }
        )
    )
    options = (f"--config.file={config}", "--collect.interval=1s")
    with running(tmp_path / "data", *options, subcommand=("up",)) as found:
        yield found


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


def _silence(hub: HubProcess) -> None:
    """Silence the alerts of one node for two hours."""
    ends = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    silence = {"matchers": ['node="db-2"'], "comment": "A disk is replaced", "ends": ends}
    made = hub.post("/api/v1/silences", json.dumps(silence).encode(), {"Content-Type": "application/json"})
    assert made.status == 201, made.body


def _take_nothing(name: str, path: str, *, forms: Sequence[Form] = FORMS, ready: str = "") -> None:
    """Take no picture."""
    del name, path, forms, ready


def _subjects(mailbox: Mailbox) -> list[str]:
    return [str(mail.message["Subject"]) for mail in mailbox.mails]


@pytest.mark.slow
def test_an_alert_from_a_real_load_to_the_history(
    browser: Browser, machine: HubProcess, mailbox: Mailbox, slack: Sink
) -> None:
    take = Camera(browser, machine.url, machine.key, Path(PICTURES)).take if PICTURES else _take_nothing
    page = _sign_in(browser, machine, f"/alerts?search={ALERT}")
    errors = Errors(page)
    made = machine.post("/api/v1/alert-rules", json.dumps(CPU_RULE).encode(), {"Content-Type": "application/json"})
    assert made.status == 201, made.body
    row = page.get_by_role("row").filter(has_text=ALERT)
    with load():
        expect(row).to_contain_text("Pending")
        take("alert-pending", f"/alerts?search={ALERT}", forms=FORMS[:1], ready=ALERT)
        expect(row).to_contain_text("Warning")
        expect(row).not_to_contain_text("Pending")
        take("alert-firing", f"/alerts?search={ALERT}", forms=FORMS[:1], ready=ALERT)
        assert eventually(lambda: len(mailbox.mails) > 0)
        [mail, *_] = mailbox.mails
        assert (mail.is_encrypted, mail.user, mail.to) == (True, "metricat", ["ops@example.org"])
        assert ALERT in str(mail.message["Subject"])
        body = mail.message.get_body(("plain",))
        assert body is not None
        assert f"A batch job uses CPU on {NODE}." in body.get_content()
        [message, *_] = slack.wait(len)
        assert ALERT in json.dumps(message["attachments"] if "attachments" in message else message["blocks"])

        row.get_by_role("button", name="Acknowledge").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Comment").fill("I ask the owner")
        dialog.get_by_role("button", name="Acknowledge").click()
        expect(row).to_contain_text("Acknowledged by ada")
        fingerprint = machine.get("/api/v1/alerts/active", alert=ALERT).json["data"][0]["fingerprint"]
        take("alert", f"/alerts/{fingerprint}?range=15m", ready="I ask the owner")
        _silence(machine)
        for name, path in VIEWS.items():
            if name != "history":
                take(name, path.format(node=NODE))
    expect(page.get_by_text("No alert")).to_be_visible()
    assert eventually(lambda: any("resolved" in subject.lower() for subject in _subjects(mailbox))), _subjects(mailbox)
    page.goto(f"/alerts?tab=history&range=1h&alert={ALERT}")
    entry = page.get_by_role("table").get_by_role("row").last
    expect(entry).to_contain_text("ada")
    [episode] = machine.get("/api/v1/alerts/history", alert=ALERT).json["data"]
    assert episode["resolved"]
    assert "ada" in episode["acknowledged_by"]
    take("history", VIEWS["history"], ready=ALERT)
    assert errors.found == []
