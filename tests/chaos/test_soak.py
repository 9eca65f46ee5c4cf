"""A long run with changes of targets and nodes: the operator's memory, descriptors, threads and sockets do not grow."""

import sys
import time

import pytest

from metricat_tools.cluster import ControlPlane
from support import growth
from support.invariants import settle
from support.operator_cluster import Replica
from support.paths import ROOT
from support.reliability import record

from .conftest import Rig, killed_at_end, runs

TARGETS = 20
NODES = 30
STEP_SECONDS = 2.0
CONVERGED_SECONDS = 120.0
GROWTH = {"memory": ("MiB", 6.0), "descriptors": ("", 6.0), "threads": ("", 3.0), "sockets": ("", 6.0)}
"""The unit of each series, and the growth in an hour that fails the test. Runs of minutes allow more: see `allowed`."""


def allowed(series: str, minutes: float) -> float:
    """Return the growth an hour that is not significant: in a short run, single bursts tilt the line."""
    return GROWTH[series][1] * max(1.0, 60 / minutes)


def test_operator_does_not_grow(rig: Rig, replica: Replica, control_plane: ControlPlane, soak_minutes: float) -> None:
    if not soak_minutes:
        pytest.skip("only with --soak MINUTES")
    operator = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    samples: list[growth.Sample] = []
    with killed_at_end(operator):
        operator.start()
        assert operator.process is not None
        rig.churn.create(TARGETS)
        nodes = control_plane.simulate_nodes(NODES)
        settle(rig.cluster.api, CONVERGED_SECONDS)
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < 60 * soak_minutes:
            rig.churn.change()
            name = rig.churn.random.choice(nodes)
            value = rig.churn.random.choice([*rig.churn.specs, "none"])
            body = {"metadata": {"labels": {"chaos": value}}}
            rig.cluster.api.call("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")
            assert runs(operator)
            samples.append(growth.read(operator.process.pid, elapsed))
            time.sleep(STEP_SECONDS)  # the rate of the changes
        settle(rig.cluster.api, CONVERGED_SECONDS)
        assert operator.stop() == 0
        assert operator.errors() == []
    rig.watcher.check(CONVERGED_SECONDS)
    picture = ROOT / "dist" / "soak.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(growth.picture(samples))
    found = {series: growth.growth(samples, series) for series in growth.SERIES}
    size = f"{soak_minutes:.0f} min, {rig.churn.changes} changes"
    for series, slope in found.items():
        record(f"soak: growth of {series}", f"{slope:+.2f} {GROWTH[series][0]}/h".replace(" /", "/"), "≈ 0", size)
    sys.stderr.write(f"{picture}: {found}\n")
    assert {one: slope for one, slope in found.items() if slope > allowed(one, soak_minutes)} == {}
