"""Garbage in any file of a host: only collectors of that file fail, and the page stays valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from metricat_agent.host.hostfs import Host
    from unit.agent.conftest import Scrape

GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="0123456789 -:.\n\tkBx", max_size=60).map(str.encode),
    st.just(b"-1\n"),
    st.just(b"9" * 400),
)


@pytest.fixture(scope="module")
def registry(merged_host: Host) -> Registry:
    """Return all collectors except those that work between scrapes."""
    return Registry(
        collector(merged_host) for name, collector in COLLECTORS.items() if name not in ("probe", "processes")
    )


def test_no_collector_fails_on_the_unchanged_tree(registry: Registry, scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(registry.scrape())
    failed = {name for (name,), worked in scrape.of("node_scrape_collector_success").items() if not worked}
    assert failed <= {"agent"}, "the agent's own process is not in the tree"
    assert len(scrape.series) > 900


@given(data=st.data())
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
def test_corrupt_files_fail_only_their_collectors(
    merged_tree: Path, registry: Registry, scrape_of: Callable[[str], Scrape], data: st.DataObject
) -> None:
    files = sorted(path for path in merged_tree.rglob("*") if path.is_file() and not path.is_symlink())
    corrupt = {path: path.read_bytes() for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=6))}
    try:
        for path, content in corrupt.items():
            at = data.draw(st.integers(0, len(content)))
            path.write_bytes(content[:at] + data.draw(GARBAGE) + content[at + data.draw(st.integers(0, 40)) :])
        worked = scrape_of(registry.scrape()).of("node_scrape_collector_success")
        assert set(worked) == {(name,) for name in registry.names}
        assert sum(worked.values()) >= len(worked) - len(corrupt) - 3, "few collectors read the same file"
    finally:
        for path, content in corrupt.items():
            path.write_bytes(content)
