"""Settings of a remote store, its buffer and the outputs: what they mean, and errors that name key and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.config.loader import SettingError, add_flags, new_parser
from metricat_hub.config.options import HUB
from metricat_hub.config.settings import Settings, parse
from metricat_hub.model.server import Server

if TYPE_CHECKING:
    from pathlib import Path

REMOTE = "--store.url=prometheus+https://prometheus.example:9090/prefix/"


def load(*arguments: str) -> Settings:
    parser = new_parser(HUB)
    add_flags(parser, HUB)
    return parse(vars(parser.parse_args(arguments)), {})


def refused(*arguments: str) -> str:
    with pytest.raises(SettingError) as raised:
        load(*arguments)
    return str(raised.value)


def test_store_is_read_only_without_write_url() -> None:
    remote = load(REMOTE).remote_store
    assert remote is not None
    assert remote.server == Server("https://prometheus.example:9090/prefix")
    assert remote.receiver is None
    assert load().remote_store is None


def test_server_has_credentials_and_headers(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    settings = load(
        *(REMOTE, f"--store.token-file={token}", "--store.header=X-Scope-OrgID: a", "--store.timeout=5s"),
        *("--store.write-url=https://mimir.example/api/v1/push", "--store.buffer.max-size=64MB"),
    )
    assert settings.remote_store is not None
    server = settings.remote_store.server
    assert (server.token_file, server.headers, server.timeout) == (str(token), (("X-Scope-OrgID", "a"),), 5.0)
    receiver = settings.remote_store.receiver
    assert receiver is not None
    assert (receiver.url, receiver.token_file) == ("https://mimir.example/api/v1/push", str(token))
    assert settings.buffer.most_bytes == 64 << 20
    assert "example" not in settings.texts["store.url"] + settings.texts["store.write-url"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store.url=prometheus+ftp://x"], "prometheus+ftp is not a store; write embedded:"),
        (["--store.url=prometheus+http://"], "not a URL with http or https; write for example"),
        (["--store.url=prometheus+http://a:b@x"], "the URL contains a user name or password; remove them"),
        (["--store.url=prometheus+http://x?a=b"], "the URL has a query (?); remove the query"),
        (["--store.write-url=http://x"], "works only with --store.url=prometheus+http(s)://HOST:PORT"),
        ([REMOTE, "--store.write-url=x"], "not a URL with http or https"),
        ([REMOTE, "--store.token-file=/none"], "not a file; set the path of an existing file"),
        ([REMOTE, "--store.username=a"], "--store.username and --store.password-file require each other; set both"),
        ([REMOTE, "--store.header=a"], "not a header; write NAME: VALUE"),
        ([REMOTE, "--store.header=content-length: 5"], "the hub sets the header content-length itself; remove it"),
        ([REMOTE, "--store.header=A: 1", "--store.header=a: 2"], "the header a is given twice; remove one of them"),
        ([REMOTE, "--store.timeout=1ms"], "outside of 1s to 10m; write for example 30s"),
        (["--store.buffer.max-size=1KB"], "below 1MB; set a larger size, for example 1GB"),
        (["--store.buffer.max-age=1s"], "below 1m; write for example 7d"),
        (["--output.url=http://x/api/v1/write"], "not an output; write remote-write+http(s)://HOST:PORT/PATH"),
        (["--output.url=remote-write+http://x"], "has no path; write"),
        (["--output.url=influxdb+http://x/write"], "has neither a database (?db=NAME) nor a bucket"),
    ],
)
def test_invalid_setting_names_the_remedy(arguments: list[str], message: str) -> None:
    text = refused(*arguments)
    assert message in text
    assert "a:b" not in text


def test_outputs_of_flags_and_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("x")
    file = tmp_path / "hub.yaml"
    file.write_text(
        "outputs:\n"
        "- {name: mimir, url: remote-write+https://m.example/api/v1/push, headers: {X-Scope-OrgID: a}, timeout: 10s}\n"
        "- url: influxdb+http://i.example:8086/write?db=metricat\n"
        "  username: u\n"
        "  password_file: password\n"
        "  max_size: 10MB\n"
        "  max_age: 1h\n"
        "  tls_skip_verify: true\n"
    )
    found = load(f"--config.file={file}", "--output.url=remote-write+http://v.example/api/v1/write").outputs
    assert [(one.name, one.kind, one.server.url) for one in found] == [
        ("remote-write-1", "remote-write", "http://v.example/api/v1/write"),
        ("mimir", "remote-write", "https://m.example/api/v1/push"),
        ("influxdb", "influxdb", "http://i.example:8086/write?db=metricat"),
    ]
    assert (found[1].server.headers, found[1].server.timeout) == ((("X-Scope-OrgID", "a"),), 10.0)
    assert (found[2].server.password_file, found[2].server.token_type) == (str(tmp_path / "password"), "Token")
    assert (found[2].most_bytes, found[2].most_age, found[2].server.insecure_skip_verify) == (10 << 20, 3_600_000, True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outputs: x", "outputs: not a list; write `- url: ...` for each output"),
        ("outputs: [x]", "hub.yaml:1: outputs: not a mapping"),
        ("outputs:\n- {url: 'influxdb+http://x/write?db=a', tokn: x}", "hub.yaml:2: outputs: tokn: unknown key"),
        ("outputs:\n- {name: a}", "hub.yaml:2: outputs: url: not an output; write"),
        ("outputs:\n- {url: 'influxdb+http://x/write?db=a', name: a/b}", "outputs: name: invalid name"),
        ("outputs:\n- {url: 'influxdb+http://x/write?db=a', token_file: none}", "none is not a file"),
        ("outputs:\n- {url: 'influxdb+http://x/write?db=a', max_size: 1KB}", "outputs: max_size: below 1MB"),
        (
            "outputs:\n- {url: 'influxdb+http://x/write?db=a'}\n- {url: 'influxdb+http://x/write?db=a'}",
            "two outputs have the name influxdb",
        ),
    ],
)
def test_invalid_output_names_line_and_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(text)
    assert message in refused(f"--config.file={file}")
