"""`metricat` on a real cluster: each command while all works, without the operator, and with a wrong label."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.wait import until
from support.pipeline import NAMED_SECONDS, PLACE, monitored, named, patch

pytestmark = pytest.mark.e2e


def metricat(demo: DemoCluster, *words: str) -> tuple[int, str]:
    """Return the exit status and the output of a command."""
    environment = {**os.environ, "KUBECONFIG": str(demo.kubectl.kubeconfig)}
    command = [sys.executable, "-m", "metricat_cli", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    return done.returncode, done.stdout + done.stderr


def checks(demo: DemoCluster) -> dict[str, dict[str, Any]]:
    _, text = metricat(demo, "check", "-o", "json")
    return {one["name"]: one for one in json.loads(text)["checks"]}


@pytest.fixture(autouse=True)
def works(demo: DemoCluster) -> None:
    until("the monitoring to work", lambda: monitored(demo), seconds=NAMED_SECONDS, why=lambda: str(demo.target()))


def test_commands_on_a_healthy_cluster(demo: DemoCluster) -> None:
    status, text = metricat(demo, "check")
    assert (status, re.findall(r"^[✗!-] .*", text, re.MULTILINE)) == (0, []), text
    assert re.search(r"^All \d+ checks passed\.$", text, re.MULTILINE), text

    _, text = metricat(demo, "status")
    assert len(text.splitlines()) == 2, "a healthy target needs no further line"
    row = dict(zip(*(line.split() for line in text.splitlines()), strict=True))
    assert [row[key] for key in ("NODES", "READY", "UNCOVERED", "SCRAPED", "MONITORED")] == ["2", "2", "0", "2", "True"]

    assert metricat(demo, "nodes")[1].endswith("\n2 of 2 nodes have a ready agent.\n")
    _, text = metricat(demo, "top", "--interval", "1s", "-o", "json")
    assert [one["node"] for one in sorted(json.loads(text)["nodes"], key=lambda one: one["node"])] == demo.nodes()
    status, text = metricat(demo, "alerts")
    assert status == 0
    assert text.startswith("SEVERITY") or text == "No alert fires.\n"
    _, text = metricat(demo, "version")
    assert re.search(rf"^operator {NAMESPACE}/metricat \d+\.\d+\.\d+$", text, re.MULTILINE), text
    _, text = metricat(demo, "bundle", "--dry-run")
    assert f"targets/{NAMESPACE}/nodes/target.yaml" in text
    assert "errors.txt" not in text


@pytest.fixture
def stopped_operator(demo: DemoCluster) -> Iterator[None]:
    """The operator has no pod and its Lease no holder."""
    replicas = demo.kubectl.get("deployment", "metricat", *PLACE)["spec"]["replicas"]
    demo.kubectl.run("scale", "deployment", "metricat", *PLACE, "--replicas=0")
    try:
        until(
            "the operator to release its Lease",
            lambda: not demo.kubectl.get("lease", "metricat", *PLACE)["spec"].get("holderIdentity"),
            seconds=60,
        )
        yield
    finally:
        demo.kubectl.run("scale", "deployment", "metricat", *PLACE, f"--replicas={replicas}")
        demo.kubectl.run("rollout", "status", "deployment/metricat", *PLACE, "--timeout=120s")


@pytest.mark.usefixtures("stopped_operator")
def test_commands_report_that_the_operator_does_not_run(demo: DemoCluster) -> None:
    """Nothing updates the status, which still says that all works."""
    assert monitored(demo)
    _, text = metricat(demo, "status")
    assert f"The operator {NAMESPACE}/metricat does not run, so the status may be out of date." in text
    _, text = metricat(demo, "status", "-o", "json")
    assert json.loads(text)[0]["operatorRuns"] is False

    assert metricat(demo, "check")[0] == 1
    found = checks(demo)
    pods = found[f"the pods of {NAMESPACE}/metricat are ready"]
    assert (pods["state"], pods["message"]) == ("failed", "The Deployment has 0 replicas.")
    current = found["the status is current"]
    assert (current["state"], current["remedy"]) == ("warning", f"kubectl describe deployment metricat -n {NAMESPACE}")
    assert found["an agent returns samples"]["state"] == "ok", "agents and Prometheus need no operator"

    _, text = metricat(demo, "version")
    assert "(no pod is ready)" in text
    for command in ("nodes", "top", "alerts"):
        assert metricat(demo, command)[0] == 0, command


@pytest.fixture
def wrong_labels(demo: DemoCluster) -> Iterator[None]:
    """The ServiceMonitor and the PrometheusRule have a label by which no Prometheus selects them."""
    wrong = {"labels": {"release": "wrong"}}
    patch(demo, "mtarget", "nodes", {"spec": {"monitor": wrong, "alerts": wrong}})
    try:
        named(demo, "Selected", "LabelMissing")
        named(demo, "Scraped", "NotSelected")
        yield
    finally:
        patch(demo, "mtarget", "nodes", {"spec": {"monitor": {"labels": None}, "alerts": {"labels": None}}})


@pytest.mark.usefixtures("wrong_labels")
def test_check_fails_once_for_a_label_that_prometheus_misses(demo: DemoCluster) -> None:
    """The consequences are skipped: only the cause has a remedy."""
    status, text = metricat(demo, "check")
    assert status == 1
    found = checks(demo)
    failed = [name for name, one in found.items() if one["state"] == "failed"]
    assert failed == ["a Prometheus selects the monitor and the rules"]
    assert found[failed[0]]["remedy"].startswith(f"kubectl patch mtarget nodes -n {NAMESPACE}")
    for name in ("Prometheus has loaded the rules", "Prometheus scrapes every node"):
        assert (found[name]["state"], found[name]["remedy"]) == ("skipped", ""), name
    assert "First broken link: monitoring/nodes: a Prometheus selects the monitor and the rules." in text

    _, text = metricat(demo, "status")
    assert "Selected=False (LabelMissing): Prometheus monitoring/demo does not select the ServiceMonitor" in text
    status, text = metricat(demo, "alerts")
    assert status == 1
    assert "no MonitoringTarget names a Prometheus with a URL. Run: metricat check, or set --prometheus" in text
