"""Each probe target that a MonitoringTarget may have is one that the agent accepts: it does not start with another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from metricat_agent.probes.target import parse_lines
from metricat_operator.api.collectors import ProbeCollector
from metricat_operator.api.probes import HEADER, RESERVED_NAME, URL_PATTERN
from metricat_operator.manifests.daemon_set import probe_targets


def matching(pattern: str) -> st.SearchStrategy[str]:
    """Texts that a pattern of the CRD matches. Python's `$` also matches before a line feed at the end."""
    return st.from_regex(pattern.removesuffix("$") + r"\Z")


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20)
TARGET = st.fixed_dictionaries(
    {"name": matching(r"^[a-z0-9]([-a-z0-9.]{0,9}[a-z0-9])?$"), "url": matching(URL_PATTERN)},
    optional={
        "intervalSeconds": st.integers(1, 86_400),
        "timeoutSeconds": st.integers(1, 60),
        "ipProtocol": st.sampled_from(["4", "6"]),
        "method": matching("^[A-Z]{3,16}$"),
        "headers": st.dictionaries(matching(HEADER), TEXT, max_size=3),
        "validStatusCodes": st.lists(matching(r"^[1-5](xx|[0-9][0-9])$"), max_size=3),
        "bodyPattern": TEXT,
        "followRedirects": st.booleans(),
        "serverName": st.just("shop.example"),
        "ca": st.just({"name": "internal-ca", "key": "ca.crt"}),
        "token": st.just({"name": "shop", "key": "token"}),
        "insecureSkipVerify": st.booleans(),
    },
)


@given(TARGET)
@settings(max_examples=400)
def test_agent_accepts_every_valid_target(target: dict[str, Any]) -> None:
    try:
        collector = ProbeCollector.model_validate({"targets": [target]})
    except ValidationError:
        return
    names = [one.name for one in parse_lines("\n".join(probe_targets(collector)))]
    assert names == [RESERVED_NAME, target["name"]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": RESERVED_NAME}, "is reserved for the target of kubernetesAPI"),
        ({"timeoutSeconds": 20}, "must not be longer than intervalSeconds"),
        ({"url": "tcp://a:1", "method": "GET"}, "need an http or https URL"),
        ({"url": "http://a/", "serverName": "b"}, "need an https or tls URL"),
        ({"url": "tcp://a:1", "ca": {"name": "a", "key": "ca.crt"}}, "need an https or tls URL"),
        ({"url": "tls://a:1", "token": {"name": "a", "key": "t"}}, "need an http or https URL"),
        ({"token": {"name": "a", "key": "../t"}}, "should match pattern"),
        ({"headers": {"Host": "b"}}, "the probe sets the headers host"),
        ({"bodyPattern": r"\u0041"}, "is not a regular expression"),
        ({"bodyPattern": "[[:alpha:]]"}, "is not a regular expression: Possible nested set"),
        ({"url": "ftp://a/"}, "should match pattern"),
    ],
)
def test_invalid_target_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ProbeCollector.model_validate({"targets": [{"name": "a", "url": "https://a/", **fields}]})
