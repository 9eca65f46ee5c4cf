"""Settings of the hub: defaults, precedence, and errors that name key, value and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.config.loader import SettingError, add_flags, new_parser
from metricat_hub.config.options import HUB
from metricat_hub.config.settings import Settings, parse

if TYPE_CHECKING:
    from collections.abc import Mapping


def load(*arguments: str, environment: Mapping[str, str] | None = None) -> Settings:
    parser = new_parser(HUB)
    add_flags(parser, HUB)
    return parse(vars(parser.parse_args(arguments)), environment or {})


def refused(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(SettingError) as raised:
        load(*arguments, environment=environment)
    return str(raised.value)


def test_settings_have_their_defaults() -> None:
    settings = load()
    assert str(settings.listen) == "127.0.0.1:8428"
    assert settings.data == Path.home() / ".local" / "share" / "metricat"
    assert settings.interval == 10_000
    assert (settings.store.raw, settings.store.minutes) == (7 * 86_400_000, 30 * 86_400_000)
    assert not settings.anonymous_loopback
    assert settings.server_id


def test_data_follows_xdg(tmp_path: Path) -> None:
    assert load(environment={"XDG_DATA_HOME": str(tmp_path)}).data == tmp_path / "metricat"
    assert load(environment={"XDG_DATA_HOME": "relative"}).data == Path.home() / ".local" / "share" / "metricat"
    assert load("--data=here").data == Path.cwd() / "here"


def test_flag_wins_over_file_over_environment(tmp_path: Path) -> None:
    file = tmp_path / "hub.yaml"
    file.write_text(
        "collect.interval: ${INTERVAL}\nserver: {id: from-file}\nscrape_configs: [{job_name: a}]\nglobal: {}\n"
    )
    environment = {"INTERVAL": "20s", "METRICAT_HUB_COLLECT_INTERVAL": "40s", "METRICAT_HUB_LISTEN": "127.0.0.1:1"}
    settings = load(f"--config.file={file}", "--server.id=flag", environment=environment)
    assert (settings.interval, settings.server_id, settings.listen.port) == (20_000, "flag", 1)


def test_common_environment_names_are_accepted() -> None:
    environment = {"COLLECT_INTERVAL": "30", "SERVER_ID": "web-1", "DB_CONNECTION": "embedded:"}
    settings = load(environment=environment)
    assert (settings.interval, settings.server_id) == (30_000, "web-1")
    assert load(environment={**environment, "METRICAT_HUB_COLLECT_INTERVAL": "1m"}).interval == 60_000
    assert "COLLECT_INTERVAL=1x: invalid duration '1x'; use for example" in refused(
        environment={"COLLECT_INTERVAL": "1x"}
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--listen=8428", "--listen=8428: not a listen address"),
        ("--listen=127.0.0.1:99999", "not a listen address"),
        ("--collect.interval=10", "--collect.interval=10: invalid duration '10'; use for example"),
        ("--collect.interval=1ms", "--collect.interval=1ms: outside of 1s to 1h; write for example 10s"),
        (
            "--store.retention.1h=1d",
            "--store.retention.1h=1d: shorter than --store.retention.1m=30d; set a longer duration",
        ),
        ("--store.max-size=3", "--store.max-size=3: invalid size '3'; use for example 512MB or 20GB"),
        ("--store.max-size=1MB", "--store.max-size=1MB: below the minimum of 64MB; set a larger size"),
        ("--store.max-series=many", "--store.max-series=many: not a whole number from 100 to 100000000"),
        ("--query.timeout=2", "--query.timeout=2: invalid duration '2'"),
        ("--query.max-samples=0100000", "--query.max-samples=0100000: not a number from 1000"),
        ("--rules.files=a.yml,,b.yml", "--rules.files=a.yml,,b.yml: an empty item; remove the comma"),
        ("--rules.files=a.yml,a.yml", "a.yml is given twice; remove one of them"),
        ("--live.allowed-origins=https://a,https://a", "https://a is given twice; remove one of them"),
        ("--grpc.listen=127.0.0.1:8428", "the HTTP server has the same address; set another port"),
        ("--redis.url=redis://h:99999", "--redis.url: not a Redis URL; write for example redis://127.0.0.1:6379/0"),
        ("--redis.url=redis://h/first", "--redis.url: not a Redis URL; write for example redis://127.0.0.1:6379/0"),
        ("--server.id=a b", "--server.id=a b: invalid name; use letters, digits and ._- only"),
        ("--log.level=loud", "--log.level=loud: unknown value; write debug, info, warn or error"),
        ("--data=/dev/null", "--data=/dev/null: not a directory"),
        ("--lisen=:1", "--lisen: unknown setting; did you mean --listen?"),
        ("--config.file=/nowhere.yaml", "--config.file=/nowhere.yaml: cannot be read: No such file"),
    ],
)
def test_invalid_settings_name_value_and_remedy(argument: str, message: str) -> None:
    assert message in refused(argument)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://ada:secret@db/metrics", "mysql is not a store; write embedded:, postgresql://"),
        ("ada:secret@db", "ada is not a store; write "),
        ("Ada secret", "the value is not a store; write "),
        ("postgresql:ada:secret@db", "the value is not a store; write "),
        (
            "embedded:/var/lib/secret",
            "embedded: has no address, because the embedded store is in the directory of --data",
        ),
    ],
)
def test_invalid_store_url_is_refused_without_its_text(url: str, message: str) -> None:
    found = refused(environment={"DB_CONNECTION": url})
    assert found.startswith(f"DB_CONNECTION: {message}")
    assert "secret" not in found


@pytest.mark.parametrize("url", ["postgresql://ada:hunter@db/metrics", "postgres://ada:hunter@db"])
def test_password_in_the_store_url_is_not_shown(url: str) -> None:
    settings = load(environment={"DB_CONNECTION": url})
    assert (settings.store_url.kind, settings.store_url.url) == ("postgresql", url)
    assert settings.texts["store.url"] == ""
    assert "hunter" not in repr(settings)


@pytest.mark.parametrize("listen", [":8428", "0.0.0.0:8428", "[::]:8428", "192.0.2.1:8428", "example.org:80"])
def test_listening_beyond_loopback_needs_tls_or_a_flag(listen: str) -> None:
    message = refused(f"--listen={listen}")
    assert message.startswith(f"--listen={listen}: other machines can reach {listen}, but TLS is not configured")
    assert "--web.config.file" in message
    assert "--insecure" in message
    assert load(f"--listen={listen}", "--insecure").listen.port
    assert load(f"--listen={listen}", "--web.config.file=web.yaml").web_config == "web.yaml"


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.8.8:1", "[::1]:1", "localhost:1"])
def test_loopback_needs_no_tls(listen: str) -> None:
    assert load(f"--listen={listen}").is_loopback


def test_unknown_variables_are_warnings() -> None:
    warnings = load(environment={"METRICAT_HUB_LISTN": ":1", "METRICAT_WEB_LISTEN_ADDRESS": ":9100"}).warnings
    assert [message.partition(";")[0] for message in warnings] == [
        "environment variable METRICAT_HUB_LISTN is not a setting"
    ]
    assert "did you mean METRICAT_HUB_LISTEN?" in warnings[0]


OIDC = {
    "web.external-url": "https://metricat.example.com/",
    "oidc.issuer": "https://id.example.com/",
    "oidc.client-id": "metricat",
    "oidc.roles": "metricat-admins=admin,a=b=editor,*=viewer",
}


def flags(settings: Mapping[str, str]) -> list[str]:
    return [f"--{name}={value}" for name, value in settings.items()]


def test_openid_connect_has_an_issuer_a_client_and_roles(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    settings = load(*flags(OIDC | {"oidc.client-secret-file": str(secret)}))
    assert settings.external_url == "https://metricat.example.com"
    repeated = load(*flags(OIDC | {"oidc.roles": "a=admin"}), "--oidc.roles=b=viewer")
    assert repeated.oidc is not None
    assert repeated.oidc.roles == {"a": "admin", "b": "viewer"}
    assert settings.oidc is not None
    assert settings.oidc.issuer == "https://id.example.com"
    assert settings.oidc.client_secret == "hunter2"
    assert settings.oidc.roles == {"metricat-admins": "admin", "a=b": "editor", "*": "viewer"}
    assert "hunter2" not in repr(settings)
    assert load().oidc is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("oidc.issuer", "http://id.example.com", "--oidc.issuer=http://id.example.com: not an HTTPS URL"),
        ("oidc.issuer", "", "it requires --oidc.issuer"),
        ("oidc.client-id", "", "--oidc.issuer=https://id.example.com/: it requires --oidc.client-id"),
        ("oidc.roles", "", "--oidc.issuer=https://id.example.com/: it requires --oidc.roles"),
        ("oidc.roles", "admins=root", "invalid pair 'admins=root'; write VALUE=ROLE"),
        ("oidc.scopes", "profile", "the scope openid is missing"),
        ("oidc.client-secret-file", "/nowhere", "cannot be read: No such file or directory"),
        ("web.external-url", "metricat.example.com", "not a URL of a host"),
        ("web.external-url", "https://example.com/metricat", "not a URL of a host"),
        ("web.external-url", "https://u:sesame@example.com", "--web.external-url=https://***@example.com: not a URL"),
        ("web.external-url", "https://example.com?", "not a URL of a host"),
        (
            "oidc.issuer",
            "https://u:sesame@id.example.com",
            "https://***@id.example.com: not an HTTPS URL",
        ),
        ("oidc.roles", "a=admin,a=viewer", "a has the roles admin and viewer; remove one of them"),
    ],
)
def test_wrong_settings_of_openid_connect_name_the_remedy(name: str, value: str, message: str) -> None:
    assert message in refused(*flags(OIDC | {name: value}))
