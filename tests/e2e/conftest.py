"""The scene that the demo shows, on a cluster of the tests' own."""

import os
from collections.abc import Iterator

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo import stages
from metricat_tools.demo.scene import Scene
from metricat_tools.demo.steps import Steps

CLUSTER = os.environ.get("METRICAT_E2E_CLUSTER", "e2e")
"""Its name; two runs at once need two."""
KEEP = "METRICAT_E2E_KEEP"
"""Set it to keep the cluster after the tests, and to take it as it is before them."""


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[NodeCluster, Scene]]:
    """Two nodes with the monitoring stack, Metricat, and the demo's MonitoringTarget."""
    keep = KEEP in os.environ
    if not keep:
        stages.remove(CLUSTER)
    try:
        cluster, scene = stages.own_cluster(CLUSTER, Steps())
        yield cluster, scene
        cluster.control_plane.detach()
    finally:
        if not keep:
            stages.remove(CLUSTER)


@pytest.fixture
def scene(stage: tuple[NodeCluster, Scene]) -> Scene:
    """The scene; a test that breaks it must leave it as it was, or wait until it is."""
    return stage[1]


@pytest.fixture
def cluster(stage: tuple[NodeCluster, Scene]) -> NodeCluster:
    """The cluster of the scene."""
    return stage[0]
