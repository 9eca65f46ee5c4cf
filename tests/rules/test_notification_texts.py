"""The texts of notifications, rendered by amtool.

They name the problem, its size, its place, its start and the remedy.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from metricat_tools.binaries import ensure
from metricat_tools.generate import golden

SECRET = {"name": "on-call", "key": "key"}
TARGET: dict[str, Any] = {
    "metadata": {"name": "nodes", "namespace": "monitoring"},
    "spec": {
        "notifications": {
            "receivers": [
                {
                    "name": "all",
                    "email": {"to": "a@example.com", "from": "b@example.com", "server": "mail:587"},
                    "slack": {"url": SECRET},
                    "pagerDuty": {"routingKey": SECRET},
                }
            ]
        }
    },
}
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "NodeLoadHigh", "severity": "warning", "node": "n1"},
    "annotations": {
        "summary": "The load of n1 is high",
        "description": "The 1-minute load of n1 is 3.1 per core (threshold 2). Top processes: <b>sh (pid 7).",
        "action": "ask who runs sh.",
        "runbook_url": "https://r.example/NodeLoadHigh",
    },
    "startsAt": "2026-03-01T01:30:00+02:00",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "https://prometheus.example/graph?g0.expr=1&g0.tab=1",
}
RESOLVED = ALERT | {"status": "resolved", "endsAt": "2026-03-01T01:45:00+02:00"}
RUNBOOK = ALERT["annotations"]["runbook_url"]
SINCE = "Since 2026-02-28 23:30 UTC."


def receiver() -> dict[str, Any]:
    [config] = [one for one in golden.manifests(TARGET) if one["kind"] == "AlertmanagerConfig"]
    [found] = [one for one in config["spec"]["receivers"] if one["name"] == "all"]
    return {way: found[f"{way}Configs"][0] for way in ("email", "slack", "pagerduty")}


def rendered(folder: Path, template: str, *alerts: dict[str, Any], kind: str = "text") -> str:
    (folder / "none.tmpl").write_text("")
    data = {
        "status": alerts[0]["status"],
        "alerts": alerts,
        "commonLabels": ALERT["labels"],
        "externalURL": "https://alertmanager.example",
    }
    (folder / "data.json").write_text(json.dumps(data))
    done = subprocess.run(
        [
            *(ensure("amtool")["amtool"], "template", "render", f"--template.glob={folder}/none.tmpl"),
            *(f"--template.text={template}", f"--template.type={kind}", f"--template.data={folder / 'data.json'}"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def texts(folder: Path, *alerts: dict[str, Any]) -> dict[str, str]:
    """Return the messages of each type of receiver for these alerts."""
    ways = receiver()
    [detail] = ways["pagerduty"]["details"]
    return {
        "mail": rendered(folder, ways["email"]["text"], *alerts),
        "hypertext": rendered(folder, ways["email"]["html"], *alerts, kind="html"),
        "chat": rendered(folder, ways["slack"]["text"], *alerts),
        "page": rendered(folder, detail["value"], *alerts),
    }


@pytest.mark.parametrize("way", ["mail", "hypertext", "chat", "page"])
def test_message_has_summary_value_start_and_runbook(tmp_path: Path, way: str) -> None:
    text = texts(tmp_path, ALERT)[way]
    for word in ("The load of n1 is high", "is 3.1 per core (threshold 2)", SINCE, "To do: ask who runs sh.", RUNBOOK):
        assert word in text
    assert "until" not in text


@pytest.mark.parametrize("way", ["mail", "hypertext", "chat", "page"])
def test_resolved_message_has_the_end_of_each_alert(tmp_path: Path, way: str) -> None:
    text = texts(tmp_path, RESOLVED, ALERT)[way]
    assert "Since 2026-02-28 23:30 UTC until 23:45 UTC." in text
    assert SINCE in text
    assert text.count("To do: ") == 1, "what is over needs nothing done"


def test_alert_texts_are_escaped_in_html(tmp_path: Path) -> None:
    assert "Top processes: &lt;b&gt;sh (pid 7)." in texts(tmp_path, ALERT)["hypertext"]


def test_message_without_runbook_has_no_link(tmp_path: Path) -> None:
    plain = ALERT | {"annotations": {**ALERT["annotations"], "runbook_url": ""}}
    assert not any("unbook" in text for text in texts(tmp_path, plain).values())


def test_title_has_alert_and_node(tmp_path: Path) -> None:
    ways = receiver()
    for title in (ways["slack"]["title"], ways["pagerduty"]["description"], ways["email"]["headers"][0]["value"]):
        assert rendered(tmp_path, title, ALERT).strip() == "[FIRING] NodeLoadHigh (warning) on n1"
