"""The hub sends all samples to real servers. The test kills them and the hub: no sample is lost or doubled."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from support.hub_process import running as hub_running
from support.metric_servers import running
from support.steady_pusher import SteadyPusher, check_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.hub_process import HubProcess
    from support.metric_servers import MetricServer
    from support.steady_pusher import Expected


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def by_node(server: MetricServer, name: str) -> Expected:
    """Return the stored samples of the pusher by node."""
    return {dict(labels)["node"]: points for labels, points in server.samples(name).items()}


def influx_rows(server: MetricServer) -> Expected:
    found = server.influx('SELECT value FROM pushed GROUP BY "node"', db="metricat", u="ada", p="pass word")
    return {one["tags"]["node"]: [(at, float(value)) for at, value in one["values"]] for one in found}


def waiting(hub: HubProcess) -> dict[str, Any]:
    return {one["name"]: one["delivery"] for one in hub.get("/api/status").json["outputs"]}


def test_no_sample_is_lost_or_doubled(tmp_path: Path) -> None:
    with ExitStack() as stack:
        prometheus = stack.enter_context(running("prometheus", tmp_path / "prometheus"))
        victoria = stack.enter_context(running("victoria-metrics", tmp_path / "victoria"))
        influx = stack.enter_context(running("influxd", tmp_path / "influx", auth=True))
        argument = configured(tmp_path, prometheus, victoria, influx)
        address = ("http://127.0.0.1:9", {"Authorization": ""})
        pusher = SteadyPusher(lambda: address, time.time_ns() // 1_000_000 - 60_000)
        with hub_running(tmp_path / "hub", argument) as hub:
            address, key = (hub.url, hub.authorization), hub.key
            pusher.start()
            until(lambda: pusher.rounds > 30)
            prometheus.kill()
            influx.kill()
            until(lambda: pusher.rounds > 120)
            until(lambda: waiting(hub)["prometheus"]["down_since"] and waiting(hub)["influx"]["down_since"])
            check_state_of_outage(hub, prometheus)
            os.kill(hub.process.pid, signal.SIGKILL)
            hub.process.wait()
        with hub_running(tmp_path / "hub", argument) as hub:
            hub.key = key
            address, before = (hub.url, hub.authorization), pusher.rounds
            until(lambda: pusher.rounds > before + 30)
            victoria.stop()  # killed, it would lose what it acknowledged in its last seconds
            prometheus.start()
            influx.start()
            until(lambda: pusher.rounds > before + 100)
            victoria.start()
            pusher.stop()
            until(lambda: all(not one["waiting_samples"] for one in waiting(hub).values()))
            expected = pusher.expected()
            check_stored(lambda: by_node(victoria, "pushed"), expected)
            check_stored(lambda: by_node(victoria, "pushed_value"), expected)
            check_stored(lambda: by_node(prometheus, "pushed"), expected)
            check_stored(lambda: influx_rows(influx), expected)
            states = waiting(hub)
            assert all(not one["dropped_samples"] and not one["rejected_samples"] for one in states.values()), states
        assert not [one for one in pusher.refusals if not one.startswith("503")]


def configured(folder: Path, prometheus: MetricServer, victoria: MetricServer, influx: MetricServer) -> str:
    """Return the argument of a settings file with an output of each kind. InfluxDB requires a password."""
    influx.influx("CREATE USER ada WITH PASSWORD 'pass word' WITH ALL PRIVILEGES")
    influx.influx("CREATE DATABASE metricat", u="ada", p="pass word")
    (folder / "password").write_text("pass word\n")
    (folder / "hub.yaml").write_text(
        "outputs:\n"
        f"- {{name: prometheus, url: remote-write+{prometheus.write_url}}}\n"
        f"- {{name: victoria, url: remote-write+{victoria.write_url}}}\n"
        f"- {{name: lines, url: 'influxdb+{victoria.url}/api/v2/write?bucket=b&org=o'}}\n"
        f"- name: influx\n  url: influxdb+{influx.url}/write?db=metricat\n"
        "  username: ada\n  password_file: password\n"
    )
    return f"--config.file={folder / 'hub.yaml'}"


def check_state_of_outage(hub: HubProcess, down: MetricServer) -> None:
    """Check that status and metrics report the output that is down, and that the hub is ready."""
    status = hub.get("/api/status").json
    assert status["status"] == "degraded"
    message = f"output prometheus: {down.write_url} accepts no samples since"
    assert any(message in one for one in status["problems"])
    assert hub.get("/readyz").status == 200
    until(lambda: b'metricat_hub_output_up{output="prometheus"} 0.0' in hub.get("/metrics").body)
    assert b'metricat_hub_output_up{output="victoria"} 1.0' in hub.get("/metrics").body


def test_scraped_samples_and_their_metadata_are_sent(tmp_path: Path) -> None:
    with ExitStack() as stack:
        victoria = stack.enter_context(running("victoria-metrics", tmp_path / "victoria", "-enableMetadata"))
        hub = stack.enter_context(
            hub_running(
                *(tmp_path / "hub", f"--output.url=remote-write+{victoria.write_url}", "--collect.interval=1s"),
                subcommand=("up",),
            )
        )
        until(lambda: len(victoria.samples('{__name__=~"up|node_load1"}')) == 2)
        (points,) = victoria.samples("node_load1").values()
        found = hub.get("/api/v1/query", query="node_load1[1m]").json["data"]["result"][0]["values"]
        stored = {round(at * 1000): float(value) for at, value in found}
        assert points
        assert all(stored[at] == value for at, value in points)
        until(lambda: b"node_load1" in victoria.request("/api/v1/metadata")[1])
