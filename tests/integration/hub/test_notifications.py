"""From a firing alert to its message: a running hub with a webhook, kills, a storm and an escalation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from support import hub_process
from support.hub_process import HubProcess, eventually
from support.remote_write import Sent, request_1, snappy
from support.webhook_sink import webhook_sink

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: High
        expr: level > 10
        keep_firing_for: 1h
        labels: {severity: critical}
"""


def options(folder: Path, routes: str, url: str) -> tuple[str, ...]:
    names = ("default", "boss")
    receivers = "".join(f"  - {{name: {name}, webhook_configs: [{{url: '{url}{name}'}}]}}\n" for name in names)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "hub.yaml").write_text(f"receivers:\n{receivers}{routes}")
    return (
        *("--no-rules.shipped", "--collect.interval=1s", f"--rules.files={folder / 'rules.yaml'}"),
        f"--config.file={folder / 'hub.yaml'}",
    )


def push(hub: HubProcess, places: range, value: float) -> None:
    now = int(time.time() * 1000)
    series = [Sent(sorted({"__name__": "level", "place": f"p{one}"}.items()), [(now, value)]) for one in places]
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", snappy(request_1(series)), headers).status == 204


def firing(bodies: list[Any]) -> list[str]:
    return sorted(one["labels"]["place"] for body in bodies for one in body["alerts"] if one["status"] == "firing")


def test_alert_is_sent_once_with_kills_before_and_after_the_message(tmp_path: Path) -> None:
    with webhook_sink() as sink:
        given = options(tmp_path, "route: {receiver: default, group_wait: 3s, group_interval: 1s}\n", sink.url)
        with hub_process.running(tmp_path / "data", *given) as hub:
            push(hub, range(2), 60)
            eventually(lambda: len(hub.get("/api/v1/alerts/active", state="firing").json["data"]) == 2, 60)
            hub.process.kill()
            hub.process.wait()
            key = hub.key
        assert firing(sink.received) in ([], ["p0", "p1"])
        for _ in range(3):
            with hub_process.running(tmp_path / "data", *given) as hub:
                hub.key = key
                sink.wait(lambda found: firing(found) == ["p0", "p1"])
                _evaluations(hub, 3)
                hub.process.kill()
                hub.process.wait()
        with hub_process.running(tmp_path / "data", *given) as hub:
            hub.key = key
            push(hub, range(2, 3), 60)
            [first, second] = sink.wait(lambda found: len(found) == 2)
            assert (firing([first]), firing([second])) == (["p0", "p1"], ["p0", "p1", "p2"])


def _evaluations(hub: HubProcess, count: int) -> None:
    """Wait until rules were evaluated so often."""

    def evaluated() -> float:
        lines = hub.get("/metrics").body.decode().splitlines()
        return float(next(one for one in lines if one.startswith("metricat_hub_rule_evaluations_total")).split()[-1])

    assert eventually(lambda: evaluated() >= count, 60)


def test_storm_is_sent_in_few_groups(tmp_path: Path) -> None:
    with webhook_sink() as sink:
        routes = "route: {receiver: default, group_by: ['...'], group_wait: 1s, group_interval: 1s}\n"
        given = options(tmp_path, routes, sink.url)
        with hub_process.running(tmp_path / "data", *given) as hub:
            push(hub, range(1000), 60)
            found = sink.wait(lambda found: len(set(firing(found))) >= 1000)
            assert set(firing(found)) == {f"p{one}" for one in range(1000)}
            assert len({one["groupKey"] for one in found}) == 20


def test_unacknowledged_alert_reaches_the_receiver_of_the_escalation(tmp_path: Path) -> None:
    with webhook_sink() as sink:
        routes = (
            "route: {receiver: default, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
            "escalation: [{matchers: [place=p1], steps: [{after: 2s, receiver: boss}]}]\n"
        )
        with hub_process.running(tmp_path / "data", *options(tmp_path, routes, sink.url)) as hub:
            push(hub, range(2), 60)
            found = sink.wait(lambda found: any(one["receiver"] == "boss" for one in found))
            assert firing([one for one in found if one["receiver"] == "boss"]) == ["p1"]
            assert firing([one for one in found if one["receiver"] == "default"]) == ["p0", "p1"]
