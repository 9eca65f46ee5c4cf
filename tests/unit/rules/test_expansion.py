"""Expansion of recorded series."""

from __future__ import annotations

import pytest

from metricat_rules.expansion import expanded


def test_matcher_that_no_rule_sets_is_an_error() -> None:
    with pytest.raises(ValueError, match='no rule sets the label of cpu="0"'):
        expanded('metricat:node_cpu_mode:percent{cpu="0"}')
