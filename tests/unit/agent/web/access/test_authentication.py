"""TLS, client certificates and passwords, from a file in Prometheus' own format or from mounted Secrets."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from metricat_agent.config.settings import Address, Secrets, SettingError
from metricat_agent.scrape.registry import Registry
from metricat_agent.web.access import config_file
from metricat_agent.web.access.authentication import Guard
from metricat_agent.web.access.config_file import WebConfigError
from metricat_agent.web.routes import Pages
from metricat_agent.web.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Certificate = Callable[[Path, str], None]

# bcrypt of "hunter2", cost 4
HASH = "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm"


def guard_of(source: Path | Secrets) -> Guard:
    return Guard.by_secrets(source) if isinstance(source, Secrets) else Guard.by_file(str(source))


@contextmanager
def running(source: Path | Secrets) -> Iterator[int]:
    server = Server(Pages(Registry([]).page), [Address("127.0.0.1", 0)], guard=guard_of(source))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.addresses[0].port
    finally:
        server.stop()
        thread.join(5)
        assert not thread.is_alive()


def ask(port: int, context: ssl.SSLContext | None = None, user: str = "", path: str = "/metrics") -> int:
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    client = (
        http.client.HTTPSConnection("localhost", port, timeout=5, context=context)
        if context
        else http.client.HTTPConnection("localhost", port, timeout=5)
    )
    try:
        client.request("GET", path, headers=headers)
        return client.getresponse().status
    finally:
        client.close()


def trusting(folder: Path, name: str, own: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / f"{name}.crt"))
    if own:
        context.load_cert_chain(folder / f"{own}.crt", folder / f"{own}.key")
    return context


def test_passwords(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        f"basic_auth_users: {{anna: '{HASH}'}}\nhttp_server_config: {{headers: {{X-A: b}}}}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert ask(port) == 401
        assert ask(port, user="anna:hunter3") == 401
        assert ask(port, user="bert:hunter2") == 401
        assert ask(port, user="anna:hunter2") == 200
        assert ask(port, user="anna:hunter2") == 200
        assert ask(port, path="/-/healthy") == 200
        (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{bert: '{HASH}'}}")
        assert ask(port, user="anna:hunter2") == 401
        assert ask(port, user="bert:hunter2") == 200


def test_tls_and_a_new_certificate_without_restart(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "one")
    certificate(tmp_path, "two")
    for kind in ("crt", "key"):
        (tmp_path / f"server.{kind}").write_bytes((tmp_path / f"one.{kind}").read_bytes())
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "one")) == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(port)
        for kind in ("key", "crt"):
            (tmp_path / f"server.{kind}").write_bytes((tmp_path / f"two.{kind}").read_bytes())
        assert ask(port, trusting(tmp_path, "two")) == 200
        with pytest.raises(ssl.SSLError):
            ask(port, trusting(tmp_path, "one"))


def test_the_first_request_over_new_tls_is_answered(tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "web.yaml").write_text("{}")
    certificate(tmp_path, "server")
    with running(tmp_path / "web.yaml") as port:
        assert ask(port) == 200
        (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
        assert ask(port, trusting(tmp_path, "server")) == 200


def test_a_key_that_comes_after_the_file_that_names_it(
    tmp_path: Path, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    (tmp_path / "web.yaml").write_text("{}")
    path = str(tmp_path / "web.yaml")
    guard = Guard("it", lambda: config_file.load(path), lambda: now[0])
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    for now[0] in (1, 2, 7, 13):
        assert guard.current().context is None
    assert len(caplog.records) == 1, "one complaint for one mistake"
    certificate(tmp_path, "server")
    now[0] = 19
    assert guard.current().context is not None
    assert guard.current() is guard.current()


def test_client_certificates(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus", "stranger"):
        certificate(tmp_path, name)
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt,"
        " client_auth_type: RequireAndVerifyClientCert, min_version: TLS12,"
        " cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "server", "prometheus")) == 200
        for own in ("", "stranger"):
            with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
                ask(port, trusting(tmp_path, "server", own))


def test_a_change_that_cannot_be_used_leaves_what_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{anna: '{HASH}'}}")
    with running(tmp_path / "web.yaml") as port:
        (tmp_path / "web.yaml").write_text("basic_auth_users: {anna: hunter2}")
        assert ask(port) == 401
        assert ask(port, user="anna:hunter2") == 200
    assert "stays in force" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "left",
    [
        "",
        "{}",
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt}",
        f"basic_auth_users: {{anna: '{HASH}'}}",
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{anna: '{HASH}'}}",
    ],
)
def test_a_file_that_shrank_opens_no_door(
    tmp_path: Path, certificate: Certificate, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("server", "prometheus"):
        certificate(tmp_path, name)
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt}\n"
        f"basic_auth_users: {{anna: '{HASH}'}}"
    )
    prometheus = trusting(tmp_path, "server", "prometheus")
    with running(tmp_path / "web.yaml") as port:
        (tmp_path / "web.yaml").write_text(left)
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(port, user="anna:hunter2")
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            ask(port, trusting(tmp_path, "server"), user="anna:hunter2")
        assert ask(port, prometheus) == 401
        assert ask(port, prometheus, user="anna:hunter2") == 200
    assert "stays in force" in caplog.text


def test_an_empty_file_is_not_taken_for_no_rules(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").touch()
    with pytest.raises(WebConfigError, match=r"is empty; write \{\}"):
        Guard.by_file(str(tmp_path / "web.yaml"))


def test_a_kept_connection_ends_when_tls_begins(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text("{}")
    with running(tmp_path / "web.yaml") as port:
        kept = http.client.HTTPConnection("localhost", port, timeout=5)
        kept.request("GET", "/metrics")
        assert kept.getresponse().read() is not None
        (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
        kept.request("GET", "/metrics")
        with pytest.raises((OSError, http.client.HTTPException)):
            kept.getresponse()
        kept.close()


def test_suites_that_are_always_on_may_be_named(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, cipher_suites: [TLS_AES_128_GCM_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "server")) == 200


def inside(text: str) -> str:
    return json.dumps(text)  # YAML too


def test_certificates_may_stand_in_the_file_itself(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus", "stranger"):
        certificate(tmp_path, name)
    texts = {name: inside((tmp_path / name).read_text()) for name in ("server.crt", "server.key", "prometheus.crt")}
    (tmp_path / "web.yaml").write_text(
        f"tls_server_config: {{cert: {texts['server.crt']}, key: {texts['server.key']},"
        f" client_ca: {texts['prometheus.crt']}, client_auth_type: RequireAndVerifyClientCert}}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "server", "prometheus")) == 200
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            ask(port, trusting(tmp_path, "server", "stranger"))


def test_a_certificate_must_be_for_one_of_the_names(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus"):
        certificate(tmp_path, name)
    rules = (
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt,"
        " client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [%s]}"
    )
    (tmp_path / "web.yaml").write_text(rules % "someone, localhost")
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "server", "prometheus")) == 200
        (tmp_path / "web.yaml").write_text(rules % "someone")
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(port, trusting(tmp_path, "server", "prometheus"))
        assert ask(port, trusting(tmp_path, "server")) == 200, "one that shows none is not asked for its names"


def test_a_certificate_that_nobody_looks_at_need_not_be_shown(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: RequestClientCert,"
        " cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert ask(port, trusting(tmp_path, "server")) == 200


def test_a_limit_of_requests(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("rate_limit: {interval: 1h, burst: 2}")
    with running(tmp_path / "web.yaml") as port:
        assert [ask(port) for _ in range(4)] == [200, 200, 429, 429]
        assert ask(port, path="/-/healthy") == 200, "a kubelet's probes are not counted"
        (tmp_path / "web.yaml").write_text("rate_limit: {interval: 0, burst: 2}")
        assert [ask(port) for _ in range(4)] == [200] * 4


def locked(key: Path, under_pass_phrase: Path) -> None:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    under_pass_phrase.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("tls: {}", r"the file has the unknown key tls; it may have tls_server_config"),
        ("tls_server_config: {cert_file: a.crt}", r"tls_server_config\.key_file: there is none; name a PEM file"),
        (
            "tls_server_config: {cert_file: a.crt, key_file: a.key}",
            r"cert_file and key_file \(a\.crt, a\.key\): No such file or directory; give two that belong",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: two.key}",
            r"\(one\.crt, two\.key\): .*mismatch.*; give two",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_ca_file: a.crt}",
            r"client_ca_file \(a\.crt\): No such file or directory; name a PEM file",
        ),
        ("tls_server_config: {cert_file: one.crt, key_file: one.key, min_version: SSL3}", r"SSL3 is none of TLS12"),
        ("tls_server_config: {cert_file: one.crt, key_file: one.key, client_auth_type: Maybe}", r"Maybe is none of"),
        ("tls_server_config: {cert_file: one.crt, key_file: one.key, cipher_suites: [X]}", r"X is not supported"),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_auth_type: RequireAndVerifyClientCert}",
            r"needs client_ca_file",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_auth_type: RequireAnyClientCert}",
            r"RequireAnyClientCert is not supported, .*; write RequireAndVerifyClientCert",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_ca: a, client_auth_type: NoClientCert}",
            r"does not go together with client_ca_file",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_allowed_sans: [a]}",
            r"client_allowed_sans has no effect with NoClientCert",
        ),
        ("tls_server_config: {cert: x, key: hunter2}", r"tls_server_config\.cert and key: "),
        ("rate_limit: {interval: 1, burst: 2}", r"rate_limit\.interval: invalid duration '1'; use for example 1s"),
        ("rate_limit: {interval: 1s}", r"rate_limit\.burst: 0 lets no request through"),
        ("basic_auth_users: {anna: hunter2}", r"basic_auth_users\.anna is no bcrypt hash; make one with: htpasswd -nB"),
        ("basic_auth_users: {anna: $2y$10$}", r"basic_auth_users\.anna is no bcrypt hash"),
        ("http_server_config: {headers: {X-A: \u0142}}", r"headers\.'X-A' cannot be sent"),
        ('http_server_config: {headers: {X-A: "a\\nb"}}', r"headers\.'X-A' cannot be sent"),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, min_version: TLS13, max_version: TLS12}",
            r"above max_version",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, curve_preferences: {a: b}}",
            r"curve_preferences is not a list",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, cipher_suites: TLS_AES}",
            r"cipher_suites is not a list",
        ),
        ("tls_server_config: {cert_file: one.crt, key_file: locked.key}", r"the key is encrypted; give one without"),
        ("[" * 3000, r"cannot be read as YAML"),
        ("basic_auth_users: [", r"cannot be read as YAML .*line 1"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, certificate: Certificate, content: str, said: str) -> None:
    for name in ("one", "two"):
        certificate(tmp_path, name)
    locked(tmp_path / "one.key", tmp_path / "locked.key")
    (tmp_path / "web.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(WebConfigError, match=said) as caught:
        Guard.by_file(str(tmp_path / "web.yaml"))
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def secrets(tmp_path: Path, certificate: Certificate) -> Secrets:
    """All three as Kubernetes mounts them: names in the directory, which lead through a link to where the files are."""
    for name in ("server", "prometheus", "stranger"):
        certificate(tmp_path, name)
    mounted(tmp_path / "tls", {"tls.crt": tmp_path / "server.crt", "tls.key": tmp_path / "server.key"})
    mounted(tmp_path / "clients", {"ca.crt": tmp_path / "prometheus.crt"})
    mounted(tmp_path / "login", {"username": "anna", "password": "hunter2\n"})
    return Secrets(*(str(tmp_path / name) for name in ("tls", "clients", "login")))


def mounted(folder: Path, keys: dict[str, Path | str]) -> None:
    folder.mkdir(exist_ok=True)
    version = folder / f"..{len(list(folder.iterdir()))}"
    version.mkdir()
    for key, content in keys.items():
        (version / key).write_text(content if isinstance(content, str) else content.read_text())
        if not (folder / key).is_symlink():
            (folder / key).symlink_to(f"..data/{key}")
    (folder / "..new").symlink_to(version.name)
    (folder / "..new").rename(folder / "..data")


def test_secrets_ask_for_a_certificate_and_a_password_but_not_of_a_kubelet(tmp_path: Path, secrets: Secrets) -> None:
    anybody, prometheus = trusting(tmp_path, "server"), trusting(tmp_path, "server", "prometheus")
    with running(secrets) as port:
        assert ask(port, prometheus, user="anna:hunter2") == 200
        assert ask(port, prometheus, user="anna:hunter3") == 401
        assert ask(port, prometheus, user="Anna:hunter2") == 401
        assert ask(port, prometheus) == 401
        assert ask(port, anybody, user="anna:hunter2") == 403
        assert ask(port, anybody, user="anna:hunter2", path="/") == 403
        assert ask(port, anybody, path="/-/ready") == 200
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            ask(port, trusting(tmp_path, "server", "stranger"), path="/-/ready")


def test_secrets_that_change_without_a_restart(
    tmp_path: Path, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    prometheus = trusting(tmp_path, "server", "prometheus")
    with running(secrets) as port:
        mounted(tmp_path / "login", {"username": "anna", "password": "hunter3"})
        assert ask(port, prometheus, user="anna:hunter2") == 401
        assert ask(port, prometheus, user="anna:hunter3") == 200
        mounted(tmp_path / "login", {"username": "anna", "password": ""})
        assert ask(port, prometheus, user="anna:") == 401
        assert ask(port, prometheus, user="anna:hunter3") == 200
        mounted(tmp_path / "login", {"username": "anna", "password": "hunter4"})
        mounted(tmp_path / "clients", {"ca.crt": tmp_path / "stranger.crt"})
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            ask(port, prometheus, user="anna:hunter4")
    assert "the Secret must hold username, without a colon, and password; what it said before stays" in caplog.text
    assert "hunter" not in caplog.text


def test_a_password_alone(tmp_path: Path) -> None:
    mounted(tmp_path / "login", {"username": "anna", "password": "hünter2"})
    with running(Secrets(basic_auth=str(tmp_path / "login"))) as port:
        assert ask(port, user="anna:hünter2") == 200
        assert ask(port) == 401
        assert ask(port, path="/-/healthy") == 200


@pytest.mark.parametrize(
    ("place", "keys", "said"),
    [
        ("tls", {"tls.crt": "x"}, r"--web\.tls-secret=.*/tls: .*; the Secret must hold tls\.crt and the tls\.key"),
        ("clients", {"ca.crt": "x"}, r"--web\.client-ca-secret=.*/clients: .*; the Secret must hold ca\.crt"),
        ("login", {"username": "a:b"}, r"--web\.basic-auth-secret=.*: there is no name or no password; the Secret"),
        ("login", {"password": " \n"}, r"there is no name or no password"),
    ],
)
def test_secrets_that_cannot_be_used(
    tmp_path: Path, secrets: Secrets, place: str, keys: dict[str, Path | str], said: str
) -> None:
    rest: dict[str, Path | str] = {
        link.name: link.read_text() for link in (tmp_path / place).iterdir() if not link.name.startswith("..")
    }
    mounted(tmp_path / place, rest | keys)
    with pytest.raises(SettingError, match=said) as caught:
        Guard.by_secrets(secrets)
    assert "hunter" not in str(caught.value)


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"login/username'; the Secret must hold username"):
        Guard.by_secrets(Secrets(basic_auth=str(tmp_path / "login")))
