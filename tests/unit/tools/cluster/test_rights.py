"""Who may start nodes is decided, and said, before anything is started."""

import os

import pytest

from metricat_tools.cluster import NodeCluster, capabilities, node_cluster
from metricat_tools.cluster.capabilities import Capability
from metricat_tools.errors import ToolError

CONTAINER = "Name:\tx\nCapEff:\t00000000a80425fb\n"
MACHINE = "Name:\tx\nCapEff:\t000001ffffffffff\n"


def test_a_containers_root_is_told_from_the_machines() -> None:
    assert not capabilities.have(Capability.CAP_SYS_ADMIN, CONTAINER)
    assert all(capabilities.have(one, MACHINE) for one in Capability)


def test_nodes_need_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="need root: use sudo, or --control-plane-only"):
        NodeCluster.up("x")


def test_nodes_need_a_root_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(node_cluster, "have", lambda one: one is not Capability.CAP_NET_ADMIN)
    with pytest.raises(ToolError, match="lacks CAP_NET_ADMIN"):
        NodeCluster.up("x")
