"""Integration tests share one real control plane; each makes namespaces of its own."""

import os
from collections.abc import Iterator

import pytest

from metricat_tools.cluster import ControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(f"pytest-{os.getpid()}") as started:
        yield started
