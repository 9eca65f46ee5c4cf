"""The limit of samples that all running queries hold together."""

from __future__ import annotations

import pytest

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.use_cases.sample_budget import SampleBudget


def test_query_is_refused_while_others_hold_the_samples_and_accepted_after_them() -> None:
    budget = SampleBudget(100)
    with budget.query() as first, budget.query() as second:
        first(60)
        second(30)
        with pytest.raises(StoreUnavailableError, match=r"hold 90 samples, and this one needs 50: .* 100"):
            second(20)
        first(10)
    assert budget.used == 0
    with budget.query() as again:
        again(100)


def test_query_that_is_alone_has_only_its_own_limit() -> None:
    budget = SampleBudget(100)
    with budget.query() as reserve:
        reserve(80)
        reserve(80)
        assert budget.used == 160
    assert budget.used == 0
