"""`metricat hub alerts` with a running hub: list, acknowledge, silence, history, and errors with a remedy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support import hub_process
from support.hub_process import HubProcess, eventually
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: LevelHigh
        expr: level > 10
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.node }} is at {{ $value }}"}
"""


def push(hub: HubProcess, **levels: float) -> None:
    now = int(time.time() * 1000)
    sent = [Sent(sorted({"__name__": "level", "node": node}.items()), [(now, value)]) for node, value in levels.items()]
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", snappy(request_1(sent)), headers).status == 204


def run(hub: HubProcess, *arguments: str, key: str | None = None) -> tuple[int, str, str]:
    """Run the command; return its status, output and error."""
    done = subprocess.run(
        [sys.executable, "-m", "metricat_cli", "hub", "alerts", *arguments],
        env={"METRICAT_URL": hub.url, "METRICAT_API_KEY": hub.key if key is None else key, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder: Path = tmp_path_factory.mktemp("hub")
    (folder / "rules.yaml").write_text(RULES)
    flags = ("--no-rules.shipped", f"--rules.files={folder / 'rules.yaml'}")
    with hub_process.running(folder / "data", *flags) as hub:
        push(hub, a=20, b=20)
        assert eventually(lambda: len(hub.get("/api/v1/alerts/active", state="firing").json["data"]) == 2, 60)
        yield hub


def test_alert_is_listed_acknowledged_silenced_and_found_in_the_history(hub: HubProcess) -> None:
    status, output, _ = run(hub, "list", "--node", "a", "-o", "json")
    assert status == 0
    [alert] = json.loads(output)
    identifier = alert["fingerprint"]
    assert (alert["name"], alert["annotations"]["summary"]) == ("LevelHigh", "a is at 20")
    assert eventually(lambda: run(hub, "ack", identifier[:6], "--comment", "pumping", "--for", "2h")[0] == 0, 60)
    status, output, _ = run(hub, "list")
    [header, *rows] = output.splitlines()
    assert (status, header.split()[0], len(rows)) == (0, "FINGERPRINT", 2)
    [row] = [row for row in rows if row.startswith(identifier)]
    assert "critical" in row
    assert "ack " in row
    assert run(hub, "unack", identifier)[1] == f"Removed the acknowledgement of the alert {identifier}.\n"
    status, output, _ = run(hub, "silence", "node=a", "--for", "1h", "-o", "json")
    silence = json.loads(output)
    assert (status, silence["matchers"], silence["state"]) == (0, ['node="a"'], "active")
    assert silence["id"] in run(hub, "silences", "--state", "active")[1]
    assert run(hub, "expire", silence["id"][:8])[1] == f"The silence {silence['id']} has ended.\n"
    assert run(hub, "silences", "--state", "active")[1] == "No silence is active.\n"
    assert eventually(lambda: "acknowledged" in run(hub, "show", identifier)[1], 60)
    assert "comment=pumping" in run(hub, "show", identifier)[1]
    found = json.loads(run(hub, "history", "--since", "1h", "--node", "a", "-o", "json")[1])
    assert [one["fingerprint"] for one in found] == [identifier]
    assert len(run(hub, "history", "--limit", "1")[1].splitlines()) == 2


def test_error_says_what_to_do(hub: HubProcess) -> None:
    reader = hub_process.create_key(hub, "read")
    missing = "no alert has the identifier 'ffff0000'. List the alerts with `metricat hub alerts list`."
    for arguments, key, status, message in (
        (("ack", "ffff0000"), None, 1, missing),
        (
            ("silence", "node=a", "--for", "1h"),
            reader,
            1,
            "lacks the scope edit; create an API key with: ",
        ),
        (("list",), "wrong", 1, "and set it in METRICAT_API_KEY or with --key-file."),
        (("silence", "node=a", "--for", "soon"), None, 1, "soon"),
        (("silence", "!", "--for", "1h"), None, 1, "!"),
        (("list", "--url", "http://127.0.0.1:1"), None, 1, "Check that it runs, and set --url or METRICAT_URL."),
        (("list", "--url", "hub"), None, 2, "--url: not a URL with http or https"),
        (
            ("list", "--key-file", "/missing"),
            None,
            2,
            "--key-file=/missing: No such file or directory. Set the path of a file",
        ),
        (("history", "--since", "week"), None, 2, "invalid duration 'week'"),
        (("silence", "node=a"), None, 2, "--for"),
    ):
        found = run(hub, *arguments, key=key)
        assert (found[0], found[1], "Traceback" in found[2]) == (status, "", False), found
        assert message in found[2]
