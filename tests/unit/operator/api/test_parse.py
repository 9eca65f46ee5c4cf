"""Errors and warnings about invalid specs, and about fields of a newer CRD."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.api.parse import parse

SSD = {"name": "ssd", "nodeSelector": {"matchLabels": {"disk": "ssd"}}}


def thresholds(warning: float, critical: float) -> dict[str, Any]:
    return {"warning": {"threshold": warning}, "critical": {"threshold": critical}}


def test_empty_spec_has_all_defaults() -> None:
    parsed = parse({})
    assert parsed.errors == parsed.warnings == ()
    assert parsed.spec is not None
    assert parsed.spec.agent.port == 9100
    assert parsed.spec.alerts.rules.by_alert()["NodeCPUUsageHigh"].levels["warning"].threshold == 90


def test_null_counts_as_omitted() -> None:
    assert parse({"agent": None, "alerts": {"rules": None}}) == parse({})


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"agent": {"port": 0}}, "spec.agent.port: Input should be greater than or equal to 1 (it is 0)"),
        (
            {"agent": {"collectors": {"diskstats": {"excludeDevices": "("}}}},
            (
                "spec.agent.collectors.diskstats.excludeDevices: '(' is not a regular expression: missing ), "
                "unterminated subpattern at position 0. Correct it or remove the field."
            ),
        ),
        (
            {"agent": {"web": {"tlsSecretName": "", "clientCASecretName": "a", "prometheusClientSecretName": "b"}}},
            "spec.agent.web: clientCASecretName needs tlsSecretName, because client certificates need TLS. Set it, "  # noqa: ISC004 (one text)
            "or remove clientCASecretName.",
        ),
        (
            {"agent": {"web": {"tlsSecretName": "a", "prometheusClientSecretName": "b"}}},
            "spec.agent.web: clientCASecretName and prometheusClientSecretName must be set together: the agents "  # noqa: ISC004 (one text)
            "then require a client certificate, and Prometheus sends one. Set both or neither.",
        ),
        (
            {"agent": {"web": {"serverName": "agents.example.com"}}},
            "spec.agent.web: serverName needs tlsSecretName, because it is the name in the agents' certificate. Set "  # noqa: ISC004 (one text)
            "it, or remove serverName.",
        ),
        (
            {"agent": {"collectors": {"diskstats": {"excludeDevices": "^ram", "includeDevices": "^sd"}}}},
            "spec.agent.collectors.diskstats: excludeDevices and includeDevices cannot be combined. Remove one of "  # noqa: ISC004 (one text)
            "them. In a pool, set the pattern inherited from spec.agent to ''.",
        ),
        ({"monitor": {"labels": {"a b": "c"}}}, "spec.monitor.labels: 'a b' is not a Kubernetes label key"),
        (
            {"agent": {"extraLabels": {"job": "x"}}},
            "spec.agent.extraLabels: Metricat sets job. Choose another label name.",
        ),
        (
            {"agent": {"extraLabels": {"__name__": "x"}}},
            "spec.agent.extraLabels: '__name__' is not a Prometheus label name",
        ),
        (
            {"alerts": {"rules": {"NodeLoadHigh": {"labels": {"severity": "page"}}}}},
            "spec.alerts.rules.NodeLoadHigh.labels: Metricat sets severity. Choose another label name.",
        ),
        (
            {"monitor": {"interval": "5s", "scrapeTimeout": "6s"}},
            "spec.monitor.scrapeTimeout: 6s is longer than the interval, 5s. Shorten the timeout or lengthen the "  # noqa: ISC004 (one text)
            "interval.",
        ),
        (
            {"monitor": {"interval": "15sec"}},
            "spec.monitor.interval: invalid duration '15sec'; use for example 30s, 5m or 1h30m",
        ),
        (
            {"agent": {"resources": {"requests": {"memory": 1}, "limits": {"memory": 10}}}},
            "spec.agent.resources.limits.memory: 10 is too low. The agent needs at least 16Mi. A number without a "  # noqa: ISC004 (one text)
            "suffix is in bytes: use for example 128Mi.",
        ),
        (
            {"monitor": {"interval": "0m0s", "scrapeTimeout": "1s"}},
            "spec.monitor.interval: must be greater than zero, for example 15s (it is '0m0s')",
        ),
        (
            {"alerts": {"rules": {"NodeCPUUsageHigh": {"critical": {"threshold": 101}}}}},
            "spec.alerts.rules.NodeCPUUsageHigh.critical.threshold: Input should be less than or equal to 100 "  # noqa: ISC004 (one text)
            "(it is 101)",
        ),
        (
            {"alerts": {"rules": {"NodeCPUUsageHigh": thresholds(90, 70)}}},
            "spec.alerts.rules.NodeCPUUsageHigh: critical.threshold 70 is below warning.threshold 90, so the "  # noqa: ISC004 (one text)
            "critical alert fires first and inhibits its warning. Change one of them, or disable one level with "
            "enabled: false.",
        ),
        (
            {"pools": [SSD | {"alerts": {"rules": {"NodeInodesFillUp": thresholds(24, 48)}}}]},
            "spec.pools[0].alerts.rules.NodeInodesFillUp: critical.threshold 48 is above warning.threshold 24, so "  # noqa: ISC004 (one text)
            "the critical alert fires first and inhibits its warning. Change one of them, or disable one level with "
            "enabled: false.",
        ),
        (
            {"agent": {"resources": {"requests": {"memory": "1Gi"}}}},
            "spec.agent.resources.requests.memory: 1Gi is more than the limit, 128Mi. Lower the request, "  # noqa: ISC004 (one text)
            "or raise spec.agent.resources.limits.memory.",
        ),
        (
            {"alerts": {"extraGroups": [{"name": "g", "rules": [{"expr": "1"}]}]}},
            "spec.alerts.extraGroups[0].rules[0]: a rule needs exactly one of alert and record. Set one and leave "  # noqa: ISC004 (one text)
            "out the other.",
        ),
        (
            {"alerts": {"extraGroups": [{"name": "g", "rules": [{"record": "a:b", "expr": "1", "for": "5m"}]}]}},
            "spec.alerts.extraGroups[0].rules[0]: a recording rule takes no for, keep_firing_for or "  # noqa: ISC004 (one text)
            "annotations. Remove them.",
        ),
    ],
)
def test_errors_name_the_field_the_value_and_the_remedy(spec: dict[str, Any], error: str) -> None:
    assert parse(spec).errors == (error,)


def test_all_errors_are_reported_together() -> None:
    assert len(parse({"agent": {"port": 0}, "monitor": {"interval": "often"}}).errors) == 2


def test_an_unknown_field_is_ignored_with_a_warning() -> None:
    parsed = parse({"agent": {"port": 9101, "colour": "blue"}, "later": {"x": 1}})
    assert parsed.spec is not None
    assert parsed.spec.agent.port == 9101
    assert parsed.errors == ()
    assert sorted(parsed.warnings) == [
        "spec.agent.colour: unknown to this version of the operator. The field is ignored.",
        "spec.later: unknown to this version of the operator. The field is ignored.",
    ]


@pytest.mark.parametrize("expr", ["sum(rate(up[5m])", "up and", "rate(up)"])
def test_invalid_promql_is_a_warning(expr: str) -> None:
    parsed = parse({"alerts": {"extraGroups": [{"name": "g", "rules": [{"alert": "A", "expr": expr}]}]}})
    assert parsed.errors == ()
    assert parsed.warnings[0].startswith(f"spec.alerts.extraGroups[0].rules[0].expr: {expr!r} is not valid PromQL")


def threshold_warnings(rules: dict[str, Any], pool: dict[str, Any] | None = None) -> list[str]:
    """Return warnings about one alert's settings in the target or a pool: the place and both thresholds."""
    pools = [SSD | {"alerts": {"rules": {"NodeMemoryUsageHigh": pool}}}] if pool else []
    parsed = parse({"alerts": {"rules": {"NodeMemoryUsageHigh": rules}}, "pools": pools})
    assert parsed.errors == ()
    return [said.partition(", so the critical")[0] for said in parsed.warnings]


def test_thresholds_that_contradict_inherited_ones_are_a_warning() -> None:
    """This is only a warning, because a changed default must not make a valid spec invalid."""
    high = {"warning": {"threshold": 97}}
    where = "alerts.rules.NodeMemoryUsageHigh: critical.threshold"
    assert threshold_warnings(high) == [f"spec.{where} 95 is below warning.threshold 97"]
    assert threshold_warnings({"critical": {"threshold": 90}}, high) == [
        f"spec.pools[0].{where} 90 is below warning.threshold 97"
    ]
    # A contradiction that a pool inherits is reported once.
    assert threshold_warnings(high, {"warning": {"for": "1h"}}) == [f"spec.{where} 95 is below warning.threshold 97"]
    assert threshold_warnings(high, {"critical": {"threshold": 99}}) == [
        f"spec.{where} 95 is below warning.threshold 97"
    ]


@pytest.mark.parametrize("off", ["warning", "critical"])
def test_disabled_level_contradicts_nothing(off: str) -> None:
    rules = thresholds(90, 70)
    rules[off]["enabled"] = False
    assert threshold_warnings(rules) == []
    assert threshold_warnings({}, rules) == []
    assert threshold_warnings({off: {"enabled": False}}, {"warning": {"threshold": 97}}) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["agent", "monitor", "alerts", "paused", "x"]),
        JSON | st.dictionaries(st.sampled_from(["port", "collectors", "labels", "rules", "interval"]), JSON),
    )
)
def test_any_spec_is_accepted_or_has_errors(spec: dict[str, Any]) -> None:
    parsed = parse(spec)
    assert (parsed.spec is not None) or parsed.errors
