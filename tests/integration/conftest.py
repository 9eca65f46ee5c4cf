"""Integration tests share one real control plane; each makes namespaces of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from metricat_tools.cluster import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(f"pytest-{os.getpid()}") as started:
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a control plane is for one worker, in its order; it is the longest, so it begins first."""
    for item in items:
        folder = item.path.parent
        if folder.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group(folder.name))
