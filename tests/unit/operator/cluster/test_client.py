"""Requests have the expected method, path and body."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.cluster.client import as_yaml


@given(st.dictionaries(st.text(max_size=20), st.text() | st.lists(st.text(st.characters(min_codepoint=0x7F)))))
def test_apply_body_is_valid_yaml_for_any_text(content: dict[str, object]) -> None:
    assert yaml.safe_load(as_yaml(content)) == content


def test_apply_body_has_no_surrogate_pairs() -> None:
    assert as_yaml({"a": "🦊é\u2028\x7f\\ud83e"}) == '{"a": "🦊\\u00e9\\u2028\\u007f\\\\ud83e"}'
