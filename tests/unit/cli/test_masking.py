"""Masking of secrets in objects and logs."""

import pytest

from metricat_cli.masking import masked, masked_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', '{"authorization": "Basic ***"}'),
        ("sent Bearer abcdefghijk to x", "sent Bearer *** to x"),
        ("GET http://user:pa55@host:9090/api", "GET http://***@host:9090/api"),
        ("GET https://h/api?a=1&token=abc&b=2", "GET https://h/api?a=1&token=***&b=2"),
        ("password=hunter2 next", "password=*** next"),
        ('{"web_password": "hunter 2", "port": 1}', '{"web_password": ***, "port": 1}'),
        ('\\"password\\":\\"hunter2\\"', '\\"password\\":\\***'),
        ("apiKey: 'k e y'", "apiKey: ***"),
        ("url https://hooks.slack.com/services/T0/B0/XYZ failed", "url https://hooks.slack.com/*** failed"),
        ("jwt eyJhbGciOiJI.eyJzdWIi.c2lnbg end", "jwt *** end"),
        ("key AKIAABCDEFGHIJKLMNOP end", "key *** end"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b", "a *** b"),
        ("a -----BEGIN PRIVATE KEY-----\nMII (cut", "a ***"),
    ],
)
def test_secrets_in_texts_are_masked(text: str, expected: str) -> None:
    assert masked_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "tlsSecretName: metricat-tls",
        "--push.password-file=/etc/metricat/password",
        "volumes:\n- name: web\n  secret:\n    secretName: metricat-web",
        "level=info msg=scraped node=n1 seconds=0.1",
        "http://10.0.0.1:9100/metrics",
        "a\nnew line: text",
    ],
)
def test_other_texts_are_unchanged(text: str) -> None:
    assert masked_text(text) == text


def test_objects_keep_names_of_secrets_and_lose_their_values() -> None:
    pod = {
        "metadata": {
            "managedFields": [{}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x"},
        },
        "spec": {
            "env": [
                {"name": "API_TOKEN", "value": "abc"},
                {"name": "LEVEL", "value": "debug"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}},
            ],
            "web": {"tlsSecretName": "tls", "password": "hunter2", "headers": {"Authorization": "x"}},
        },
    }
    assert masked(pod) == {
        "metadata": {"annotations": {"note": "x"}},
        "spec": {
            "env": [
                {"name": "API_TOKEN", "value": "***"},
                {"name": "LEVEL", "value": "debug"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "password"}}},
            ],
            "web": {"tlsSecretName": "tls", "password": "***", "headers": {"Authorization": "***"}},
        },
    }
    assert masked({"kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "eA=="}}) == {
        "kind": "Secret",
        "metadata": {"name": "s"},
    }


def test_masking_of_a_long_line_takes_linear_time() -> None:
    """The time of a quadratic pattern would be minutes: the test would not end."""
    text = "a1" * 500_000
    assert masked_text(text) == text
