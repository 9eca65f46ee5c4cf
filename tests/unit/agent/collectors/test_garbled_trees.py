"""Garbage in any file of a host: whoever reads it fails alone or makes the best of it, and the page is one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry
from support.paths import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.agent.conftest import Scrape

TREES = ("host", "hosts/bonded-links", "hosts/file-server", "hosts/rdma-and-nvme", "hosts/storage-area-network")
GARBAGE = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="0123456789 -:.\n\tkBx", max_size=60).map(str.encode),
    st.just(b"-1\n"),
    st.just(b"9" * 400),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One host that has the files of several."""
    made = tmp_path_factory.mktemp("host")
    for name in TREES:
        shutil.copytree(FIXTURES / name, made, symlinks=True, dirs_exist_ok=True)
    return made


@pytest.fixture(scope="module")
def served(tree: Path) -> Registry:
    """All collectors but the walk over all processes, which goes on between scrapes."""
    host = Host(f"{tree}/proc", f"{tree}/sys", f"{tree}/root", self_proc=f"{tree}/own")
    return Registry(collector(host) for name, collector in COLLECTORS.items() if name != "processes")


def test_the_tree_as_it_is_fails_nobody(served: Registry, scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(served.scrape())
    failed = {name for (name,), worked in scrape.of("node_scrape_collector_success").items() if not worked}
    assert failed <= {"agent"}, "which reads its own process, and that is not in the tree"
    assert len(scrape.series) > 900


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_files_garbled(
    tree: Path, served: Registry, scrape_of: Callable[[str], Scrape], data: st.DataObject
) -> None:
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    spoilt = {path: path.read_bytes() for path in data.draw(st.lists(st.sampled_from(files), min_size=1, max_size=6))}
    try:
        for path, content in spoilt.items():
            at = data.draw(st.integers(0, len(content)))
            path.write_bytes(content[:at] + data.draw(GARBAGE) + content[at + data.draw(st.integers(0, 40)) :])
        worked = scrape_of(served.scrape()).of("node_scrape_collector_success")
        assert set(worked) == {(name,) for name in served.names}
        assert sum(worked.values()) >= len(worked) - len(spoilt) - 3, "a file has few readers"
    finally:
        for path, content in spoilt.items():
            path.write_bytes(content)
