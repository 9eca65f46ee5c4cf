"""Names of child objects are valid and different for each target."""

import re

from hypothesis import given
from hypothesis import strategies as st

from metricat_operator import naming

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)


@given(NAMES)
def test_a_child_name_is_a_dns_label_short_enough_for_suffixes(name: str) -> None:
    child = naming.child(name)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", child)
    assert len(child) <= 46
    assert len(naming.extra_rules(name)) <= 63
    assert len(naming.rules(name, 9)) <= 63
    assert len(naming.fit(name)) <= 63


@given(NAMES, NAMES)
def test_different_targets_have_different_child_names(one: str, other: str) -> None:
    assert (naming.child(one) == naming.child(other)) == (one == other)
    assert (naming.fit(one) == naming.fit(other)) == (one == other)


def test_the_extra_rules_of_a_target_have_no_child_name_of_another() -> None:
    assert naming.extra_rules("nodes") != naming.child("nodes-extra")
    assert naming.extra_rules("nodes") != naming.child("extra-nodes")
    assert naming.rules("nodes", 1) not in {naming.child("part-2-nodes"), naming.extra_rules("nodes")}
    assert naming.rules("nodes") == naming.child("nodes")


def test_a_valid_name_is_not_shortened() -> None:
    assert naming.child("nodes") == "metricat-nodes"
