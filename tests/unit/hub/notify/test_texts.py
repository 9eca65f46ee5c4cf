"""The texts of each channel, compared with the files in `texts`.

`PYTHONPATH=tests python tests/unit/hub/notify/test_texts.py` writes the files.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_hub.notify.content import describe
from metricat_hub.notify.render import alertmanager, mail, pagerduty, slack, webhook
from support.notifications import AT, MINUTE, alert, notification

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.alerts import ActiveAlert, Notification
    from metricat_hub.notify.content import Content

TEXTS = Path(__file__).with_name("texts")
HOSTILE = alert(
    name="<script>alert(1)</script>",
    node="web-1\r\nBcc: eve@example.org",
    severity="odd",
    value=float("nan"),
    expression="",
    annotations={
        "summary": "<!channel> & <b>bold</b>",
        "description": "line one\nline two",
        "runbook_url": "javascript:alert(1)",
        "dashboard": "https://grafana.example.org/d/1?a=1&b=2",
    },
)
OWN_RULE = alert(
    name="DiskFull",
    node="",
    severity="warning",
    value=1.5 * 2**30,
    expression='2147483648 > node_filesystem_avail_bytes{mountpoint="/"} and on () vector(1)',
    annotations={"runbook_url": "https://runbooks.example.org/disk"},
    instance="db-1:9100",
)


def trends(one: ActiveAlert, at: int) -> Sequence[float]:
    return [12.0, 14, 20, float("nan"), 60, 80, 95, 97.34] if one.name == "NodeCPUUsageHigh" and at == AT else ()


CASES = {
    "firing": notification(alert(), alert(node="web-2", severity="warning", value=88)),
    "resolved": notification(alert(resolved=True), reason="resolved"),
    "mixed": notification(alert(node="web-2", resolved=True), alert(), reason="changed"),
    "own-rule": notification(OWN_RULE, group_key="g" * 300),
    "hostile": notification(HOSTILE, url=""),
    "storm": notification(
        *(alert(node=f"node-{number:04}") for number in range(300)),
        *(alert(name="NodeAgentDown", node=f"node-{number:04}") for number in range(80)),
        reason="escalated",
    ),
}


def _mail(case: Notification, content: Content) -> str:
    found = mail.mail(case, content, "hub@example.org", ("ops@example.org", "dba@example.org"), AT)
    return "".join(f"{name}: {value}\n" for name, value in found.items() if not name.startswith(("Content", "MIME")))


def _pretty(text: bytes) -> str:
    found = json.loads(text)
    if "alerts" in found and len(found["alerts"]) > 20:
        found["alerts"] = f"{len(found['alerts'])} alerts"
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


RENDERERS: dict[str, Callable[[Notification, Content], str]] = {
    "mail-headers.txt": _mail,
    "mail.txt": lambda _, content: mail.plain(content),
    "mail.html": lambda _, content: mail.html(content),
    "slack.json": lambda _, content: _pretty(slack.body(content, "#alerts", ("here", "U024BE7LH", "S0615G0KT"))),
    "pagerduty.json": lambda case, content: _pretty(
        pagerduty.event(case, content, "key", "resolve" if case.is_resolved else "trigger")
    ),
    "webhook.json": lambda case, content: _pretty(webhook.body(case, content)),
    "alertmanager.json": lambda case, _: (
        json.dumps(json.loads(alertmanager.alerts(case.alerts[:3], case.url, AT, MINUTE)), indent=2) + "\n"
    ),
}


def render(case: str, name: str) -> str:
    return RENDERERS[name](CASES[case], describe(CASES[case], AT, trends))


@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_text_is_as_expected(case: str, name: str) -> None:
    assert render(case, name) == (TEXTS / f"{case}-{name}").read_text(encoding="utf-8")


def test_header_of_a_mail_cannot_contain_further_headers() -> None:
    content = describe(CASES["hostile"], AT)
    found = mail.mail(CASES["hostile"], content, "hub@example.org", ("ops@example.org",), AT)
    head = bytes(found).partition(b"\r\n\r\n")[0]
    assert b"\nBcc" not in head
    assert found["Bcc"] is None


def test_repeated_mail_has_the_same_message_id_and_another_one_a_different() -> None:
    first, second = notification(), notification(identity="n-2")
    found = [
        mail.mail(one, describe(one, AT), "hub@example.org", ("ops@example.org",), at)
        for one, at in ((first, AT), (first, AT + MINUTE), (second, AT))
    ]
    identifiers = [one["Message-ID"] for one in found]
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert len({one["References"] for one in found}) == 1


def test_slack_message_stays_within_the_limits() -> None:
    texts = {"summary": "<" * 5000, "description": "&" * 9000, "action": "x" * 9000, "more": "y" * 9000}
    long = alert(annotations=texts)
    many = notification(*(replace(long, labels=(*long.labels, ("number", str(number)))) for number in range(60)))
    found = json.loads(slack.body(describe(many, AT), "", ("here",)))
    assert len(found["blocks"]) <= 50
    for block in found["blocks"]:
        text = block["text"]["text"] if "text" in block else block["elements"][0]["text"]
        assert len(text) <= (150 if block["type"] == "header" else 3000)


def test_pagerduty_keys_are_those_of_the_group() -> None:
    assert pagerduty.dedup_key("short") == "short"
    assert len(pagerduty.dedup_key("g" * 256)) == 64


def test_signature_covers_time_and_body() -> None:
    # echo -n '1700000000.{}' | openssl dgst -sha256 -hmac sesame
    expected = "t=1700000000,v1=d3abd3f5600670832b9e0ff7116224a4ba4b043d1ef3a02836e89810336ec0cc"
    assert webhook.signature("sesame", 1_700_000_000, b"{}") == expected


if __name__ == "__main__":
    TEXTS.mkdir(exist_ok=True)
    for one in CASES:
        for kind in RENDERERS:
            (TEXTS / f"{one}-{kind}").write_text(render(one, kind), encoding="utf-8")
