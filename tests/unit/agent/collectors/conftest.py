"""One host made of several recorded ones, so that every collector finds files."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from metricat_agent.host.hostfs import Host
from support.paths import FIXTURES

if TYPE_CHECKING:
    from pathlib import Path

TREES = ("host", "hosts/bonded-links", "hosts/file-server", "hosts/rdma-and-nvme", "hosts/storage-area-network")


@pytest.fixture(scope="module")
def merged_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the files of several recorded hosts into one tree."""
    tree = tmp_path_factory.mktemp("host")
    for name in TREES:
        shutil.copytree(FIXTURES / name, tree, symlinks=True, dirs_exist_ok=True)
    return tree


@pytest.fixture(scope="module")
def merged_host(merged_tree: Path) -> Host:
    """Return the host of the merged tree."""
    return Host(f"{merged_tree}/proc", f"{merged_tree}/sys", f"{merged_tree}/root", self_proc=f"{merged_tree}/own")
