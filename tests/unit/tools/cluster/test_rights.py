"""Missing rights are an error before any process starts."""

import os

import pytest

from metricat_tools.cluster import NodeCluster, capabilities, node_cluster
from metricat_tools.cluster.capabilities import Capability
from metricat_tools.errors import ToolError

CONTAINER = "Name:\tx\nCapEff:\t00000000a80425fb\n"
MACHINE = "Name:\tx\nCapEff:\t000001ffffffffff\n"


def test_root_in_a_container_lacks_capabilities() -> None:
    assert not capabilities.have(Capability.CAP_SYS_ADMIN, CONTAINER)
    assert all(capabilities.have(one, MACHINE) for one in Capability)


def test_nodes_need_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match=r"need root\. Use sudo or --control-plane-only"):
        NodeCluster.up("x")


def test_nodes_need_a_root_with_all_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(node_cluster, "have", lambda one: one is not Capability.CAP_NET_ADMIN)
    with pytest.raises(ToolError, match="lacks CAP_NET_ADMIN"):
        NodeCluster.up("x")
