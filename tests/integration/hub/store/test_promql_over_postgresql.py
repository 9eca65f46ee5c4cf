"""PromQL over PostgreSQL: Prometheus' own tests have the same outcomes as over samples in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.model.ports import Matcher, Selection, Series
from metricat_hub.model.samples import Batch
from metricat_hub.store.embedded import Settings
from metricat_hub.store.postgresql import PostgresStore
from metricat_tools.binaries import module_dir
from support import promqltest
from support.hub_store import BEGIN, DAY, Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Hints
    from metricat_hub.model.samples import Times, Values
    from support.postgresql_server import PostgresServer

FILES = ("aggregators", "at_modifier", "functions", "operators", "range_queries", "selectors", "staleness", "subquery")
_STORE = "test_store"


class StoredSamples(promqltest.Store):
    """Samples in the database, at later times than in the file. A label keeps the stores of a file apart."""

    created = 0

    def __init__(self, database: PostgresStore) -> None:
        super().__init__()
        StoredSamples.created += 1
        self._database = database
        self._own = str(StoredSamples.created)
        self._waiting: dict[Labels, dict[int, float]] = {}

    def add(self, labels: Mapping[str, str] | Labels, samples: Iterable[tuple[int, float]]) -> None:
        found = list(samples)
        super().add(labels, found)
        key = tuple(sorted({**dict(labels), _STORE: self._own}.items()))
        self._waiting.setdefault(key, {}).update(found)

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        expected = super().select(matchers, start, end, hints)
        self._flush()
        own = Matcher(_STORE, "=", self._own)
        found = {
            tuple(pair for pair in one.labels if pair[0] != _STORE): one
            for one in self._database.select([*matchers, own], start + BEGIN, end + BEGIN, hints).series
        }
        assert set(found) == {one.labels for one in expected.series}
        return Selection([Series(one.labels, *_columns(found[one.labels])) for one in expected.series])

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        numbers = self._database.resolve(list(waiting))
        sizes = [len(samples) for samples in waiting.values()]
        times = [time + BEGIN for samples in waiting.values() for time in samples]
        values = [value for samples in waiting.values() for value in samples.values()]
        batch = Batch(np.repeat(numbers, sizes), np.array(times, np.int64), np.array(values, np.float64))
        assert self._database.append_any_age(batch).accepted == len(times)


def _columns(series: Series) -> tuple[Times, Values]:
    return series.times - BEGIN, series.values


@pytest.fixture(scope="module")
def database(postgresql: PostgresServer) -> Iterator[PostgresStore]:
    settings = Settings(raw_retention=10**5 * DAY, minute_retention=10**5 * DAY, hour_retention=10**5 * DAY)
    store = PostgresStore.open(postgresql.new_database(), settings, Clock(BEGIN + 10**5 * DAY))
    yield store
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_outcomes_equal_those_over_samples_in_memory(name: str, database: PostgresStore) -> None:
    folder = module_dir("prometheus", "github.com/prometheus/prometheus") / "promql/promqltest/testdata"
    text = (folder / f"{name}.test").read_text()
    in_memory = promqltest.run(text)
    stored = promqltest.run(text, lambda: StoredSamples(database))
    assert stored == in_memory
    assert sum(one.state == "passed" for one in stored) > 10
