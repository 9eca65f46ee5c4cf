"""The limit of memory that all running queries hold together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.errors import LimitError, StoreUnavailableError
from metricat_hub.use_cases.memory_budget import MemoryBudget
from support import large_queries
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def test_query_is_refused_while_others_hold_the_memory_and_accepted_after_them() -> None:
    budget = MemoryBudget(100 * MIB)
    with budget.query() as first, budget.query() as second:
        first(60 * MIB)
        second(30 * MIB)
        with pytest.raises(StoreUnavailableError, match=r"hold 90 MiB of memory, and this one needs 50 MiB .* 100 MiB"):
            second(20 * MIB)
        first(10 * MIB)
    assert budget.used == 0
    with budget.query() as again:
        again(100 * MIB)


def test_query_that_alone_needs_too_much_is_refused() -> None:
    budget = MemoryBudget(100 * MIB)
    with budget.query() as reserve:
        reserve(80 * MIB)
        with pytest.raises(LimitError, match=r"needs 101 MiB of memory or more, above query.max-memory, 100 MiB"):
            reserve(21 * MIB)
    assert budget.used == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_large_queries_stays_within_the_limit(tmp_path: Path) -> None:
    large_queries.fill(tmp_path)

    def run(memory: int) -> dict[str, object]:
        found = subprocess.run(
            [sys.executable, "-m", "support.large_queries", str(tmp_path), str(memory)],
            check=True,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        )
        decoded: dict[str, object] = json.loads(found.stdout)
        return decoded

    unlimited, limited = run(10**12), run(10 * MIB)
    assert unlimited["errors"] == [""] * 4
    assert isinstance(unlimited["grown"], int)
    assert unlimited["grown"] > 28 * MIB  # one of the queries holds 34 MB of samples
    assert limited["small"] == ""
    assert isinstance(limited["errors"], list)
    assert all("query.max-memory, 10 MiB" in error for error in limited["errors"])
    assert isinstance(limited["grown"], int)
    assert limited["grown"] < 20 * MIB
