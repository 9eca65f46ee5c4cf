"""Fixtures: a cluster of the tests' own, set up as the demo sets it up."""

import os
from collections.abc import Iterator

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo import setup
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.demo.steps import Steps

CLUSTER = os.environ.get("METRICAT_E2E_CLUSTER", "e2e")
"""The cluster's name. Two runs at the same time need two names."""
KEEP = "METRICAT_E2E_KEEP"
"""Set this variable to keep the cluster after the tests, and to reuse an existing cluster."""


@pytest.fixture(scope="session")
def demo_and_nodes() -> Iterator[tuple[NodeCluster, DemoCluster]]:
    """Two nodes with the monitoring stack, Metricat, and the demo's MonitoringTarget."""
    keep = KEEP in os.environ
    if not keep:
        setup.remove(CLUSTER)
    try:
        cluster, demo = setup.own_cluster(CLUSTER, Steps())
        yield cluster, demo
        cluster.control_plane.detach()
    finally:
        if not keep:
            setup.remove(CLUSTER)


@pytest.fixture
def demo(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> DemoCluster:
    """The demo's cluster. A test that breaks it must restore it, or wait until the operator has."""
    return demo_and_nodes[1]


@pytest.fixture
def cluster(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> NodeCluster:
    """The nodes and the control plane of the demo's cluster."""
    return demo_and_nodes[0]
