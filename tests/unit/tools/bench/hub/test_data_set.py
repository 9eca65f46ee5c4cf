"""The data set of the benchmark of queries: a store as the hub itself would have written it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.store.embedded import EmbeddedStore, operations
from metricat_tools.bench.hub import data_set, pages

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400_000
PAGE = """# TYPE node_load1 gauge
node_load1 0.5
# TYPE node_cpu_seconds_total counter
node_cpu_seconds_total{cpu="0",mode="idle"} 10.5
node_cpu_seconds_total{cpu="0",mode="user"} 3
# TYPE node_forks_total counter
node_forks_total 7
"""


@pytest.fixture(name="folder", scope="module")
def make_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    patch.setenv("METRICAT_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setattr(pages, "read", lambda: PAGE)
    patch.setattr(data_set, "_TEMPLATES", 2)
    folder = data_set.ensure(3, 4, 8, lambda _: None)
    patch.undo()
    return folder


def test_store_has_no_damage(folder: Path) -> None:
    checked = operations.check(folder)
    assert not checked.damaged
    assert checked.chunks == 3 * 4 * (7 * 12 + 8 + 1)


@pytest.mark.parametrize(("tier", "step", "days"), [("raw", 10_000, 7), ("1m", 60_000, 8), ("1h", 3_600_000, 8)])
def test_each_tier_has_a_point_at_each_step_until_the_end(folder: Path, tier: str, step: int, days: int) -> None:
    store = EmbeddedStore.open_read_only(folder)
    try:
        only = [Matcher("__name__", "=", "node_load1"), Matcher("node", "=", "node-02")]
        hints = Hints(tier=tier)  # type: ignore[arg-type]
        [series] = store.select(only, data_set.END - days * DAY + 1, data_set.END, hints).series
    finally:
        store.close()
    inside = series.times[series.times > data_set.END - days * DAY]
    assert np.array_equal(inside, np.arange(data_set.END - days * DAY + step, data_set.END + 1, step))


def test_cpu_time_of_a_mode_grows_slower_than_the_clock() -> None:
    page = pages.parse(PAGE, 4)
    values = pages.values(page.lines[1], 1000, np.random.default_rng(1))
    assert (np.diff(values) > 0).all()
    assert 0.3 < (values[-1] - values[0]) / 9990 < 1


def test_page_is_repeated_with_one_more_label_and_cut() -> None:
    page = pages.parse(PAGE, 6)
    assert [line.text for line in page.lines[4:]] == ['node_load1{copy="1"}', 'node_forks_total{copy="1"}']
    assert pages.parse(PAGE, 2).text(np.array([1.0, 2.5])) == (
        b"# TYPE node_load1 gauge\n# TYPE node_cpu_seconds_total counter\n# TYPE node_forks_total counter\n"
        b'node_load1 1\nnode_cpu_seconds_total{cpu="0",mode="idle"} 2.5\n'
    )
