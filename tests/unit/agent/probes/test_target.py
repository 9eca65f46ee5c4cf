from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.probes.target import parse_document, parse_lines


def test_url_alone_is_a_target_with_defaults() -> None:
    [target] = parse_lines("https://shop.example/health?deep=1")
    assert target.name == target.url == "https://shop.example/health?deep=1"
    assert (target.host, target.port, target.path) == ("shop.example", 443, "/health?deep=1")
    assert (target.interval, target.timeout, target.method) == (15, 5, "GET")
    assert {200, 299} <= target.status_codes
    assert 300 not in target.status_codes


def test_object_sets_every_setting() -> None:
    text = json.dumps(
        {
            "name": "shop",
            "url": "https://[::1]:8443/",
            "interval": "1m",
            "timeout": "500ms",
            "ip_protocol": "6",
            "method": "HEAD",
            "headers": {"Accept": "text/plain"},
            "bearer_token_file": "/run/token",
            "valid_status_codes": ["2xx", "401"],
            "body_pattern": "^ok$",
            "follow_redirects": False,
            "ca_file": "/run/ca.pem",
            "server_name": "shop.example",
            "insecure_skip_verify": "true",
        }
    )
    [target] = parse_lines(text)
    assert (target.name, target.host, target.port) == ("shop", "::1", 8443)
    assert (target.interval, target.timeout, target.ip_protocol) == (60, 0.5, "6")
    assert (target.method, target.headers, target.bearer_token_file) == (
        "HEAD",
        {"Accept": "text/plain"},
        "/run/token",
    )
    assert target.status_codes == {*range(200, 300), 401}
    assert target.body_pattern is not None
    assert target.body_pattern.pattern == b"^ok$"
    assert not target.follow_redirects
    assert (target.ca_file, target.server_name, target.insecure_skip_verify) == ("/run/ca.pem", "shop.example", True)


def test_dns_url_has_a_name_and_a_record_type() -> None:
    [target] = parse_lines("dns://10.96.0.10/_http._tcp.shop.example.?type=srv")
    assert (target.host, target.port, target.query_name, target.query_type) == (
        "10.96.0.10",
        53,
        "_http._tcp.shop.example",
        33,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shop.example", "invalid URL 'shop.example'; write http://, https://, tcp://HOST:PORT"),
        ("ftp://shop.example", "invalid URL 'ftp://shop.example'; write http://"),
        ("http://", "invalid URL 'http://'"),
        ("http://shop.example/a b", "invalid URL"),
        ("http://shop.example:99999/", "invalid URL"),
        ("http://me:secret@shop.example/", "the URL of the host shop.example contains a user name"),
        ("tcp://shop.example", "has no port; write tcp://shop.example:PORT"),
        ("tcp://[2001:db8::1]", "has no port; write tcp://[2001:db8::1]:PORT"),
        ("icmp://[2001:db8::1]:80", "has a port, and ICMP has none; write icmp://[2001:db8::1]"),
        ("tcp://shop.example:80/path", "has a path; write only tcp://shop.example:80"),
        ("dns://10.0.0.1", "has no name to query"),
        ("dns://10.0.0.1/a..b", "has no name to query"),
        ("dns://10.0.0.1/a?type=HINFO", "write ?type= with one of A, NS"),
        ('{"name": "x"}', "a target has no url"),
        ('{"url": "http://a/", "name": "a b"}', "invalid name 'a b'"),
        ('{"url": "http://a/", "nmae": "x"}', "target http://a/: unknown key nmae for http; the keys are interval"),
        ('{"url": "tcp://a:1", "method": "GET"}', "unknown key method for tcp"),
        ('{"url": "http://a/", "timeout": "20s"}', "timeout (20 s) is longer than interval (15 s); use"),
        ('{"url": "http://a/", "timeout": "0"}', "timeout: not a duration from 0.1s to 60s"),
        ('{"url": "http://a/", "interval": 0}', "interval: not a duration from 1s to 86400s"),
        ('{"url": "http://a/", "valid_status_codes": []}', "valid_status_codes: not a list of status codes"),
        ('{"url": "http://a/", "valid_status_codes": ["20"]}', "valid_status_codes: not a list of status codes"),
        ('{"url": "http://a/", "body_pattern": "("}', "body_pattern: not a regular expression"),
        ('{"url": "http://a/", "headers": {"Host": "b"}}', "headers: the probe sets the header Host itself"),
        ('{"url": "http://a/", "headers": {"A": "b\\r\\nC: d"}}', "headers: invalid header A"),
        ('{"url": "http://a/", "url": "http://b/"}', "the key url is given twice"),
        ('{"url": "http://a/"', "not valid JSON"),
        ("http://a/\nhttp://a/", "two targets have the name http://a/"),
    ],
)
def test_invalid_target_names_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_lines(text)


@pytest.mark.parametrize("text", ["[]", '{"target": []}', '{"targets": {}}', "null", '{"targets": [1]}', '"a"'])
def test_invalid_document_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_document(text)


def test_document_without_text_has_no_targets() -> None:
    assert parse_document("") == ()


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_value_error(text: str) -> None:
    for each in (text, f"http://{text}", f"dns://{text}", json.dumps({"url": text})):
        try:
            targets = parse_lines(each)
        except ValueError:
            continue
        assert all(target.host for target in targets)
