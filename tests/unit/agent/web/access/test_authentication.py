"""TLS, client certificates and passwords, from a file in Prometheus' format or from mounted Secrets."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from metricat_agent.config.settings import Secrets, SettingError
from metricat_agent.scrape.registry import Registry
from metricat_agent.web.access import config_file
from metricat_agent.web.access.authentication import Authenticator
from metricat_agent.web.access.config_file import WebConfigError
from metricat_agent.web.access.tls_groups import set_groups_of_openssl
from metricat_agent.web.routes import Router
from support import agent_http
from support.agent_http import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Certificate = Callable[[Path, str], None]

# bcrypt of "hunter2", cost 4
HASH = "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm"


@contextmanager
def running(source: Path | Secrets) -> Iterator[int]:
    if isinstance(source, Secrets):
        authenticator = Authenticator.from_secrets(source)
    else:
        authenticator = Authenticator.from_file(str(source))
    with agent_http.running(Router(Registry([]).page), authenticator=authenticator) as port:
        yield port


def status(port: int, context: ssl.SSLContext | None = None, user: str = "", path: str = "/metrics") -> int:
    """Return the status of the response to one request."""
    return fetch(port, path, context=context, user=user).status


def trusting(folder: Path, name: str, own: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / f"{name}.crt"))
    if own:
        context.load_cert_chain(folder / f"{own}.crt", folder / f"{own}.key")
    return context


def test_password_file_authenticates_users_and_is_reloaded(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(
        f"basic_auth_users: {{anna: '{HASH}'}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port) == 401
        assert status(port, user="anna:hunter3") == 401
        assert status(port, user="bert:hunter2") == 401
        assert status(port, user="anna:hunter2") == 200
        assert status(port, user="anna:hunter2") == 200
        assert status(port, path="/-/healthy") == 200
        (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{bert: '{HASH}'}}")
        assert status(port, user="anna:hunter2") == 401
        assert status(port, user="bert:hunter2") == 200


def test_new_certificate_is_used_without_a_restart(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "one")
    certificate(tmp_path, "two")
    for kind in ("crt", "key"):
        (tmp_path / f"server.{kind}").write_bytes((tmp_path / f"one.{kind}").read_bytes())
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "one")) == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            status(port)
        for kind in ("key", "crt"):
            (tmp_path / f"server.{kind}").write_bytes((tmp_path / f"two.{kind}").read_bytes())
        assert status(port, trusting(tmp_path, "two")) == 200
        with pytest.raises(ssl.SSLError):
            status(port, trusting(tmp_path, "one"))


def test_first_request_after_tls_is_enabled_succeeds(tmp_path: Path, certificate: Certificate) -> None:
    (tmp_path / "web.yaml").write_text("{}")
    certificate(tmp_path, "server")
    with running(tmp_path / "web.yaml") as port:
        assert status(port) == 200
        (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
        assert status(port, trusting(tmp_path, "server")) == 200


def test_key_written_after_the_file_that_names_it_is_loaded(
    tmp_path: Path, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    (tmp_path / "web.yaml").write_text("{}")
    path = str(tmp_path / "web.yaml")
    authenticator = Authenticator("it", lambda: config_file.load(path), lambda: now[0])
    (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    for now[0] in (1, 2, 7, 13):
        assert authenticator.current().context is None
    assert len(caplog.records) == 1, "the same error is logged once"
    certificate(tmp_path, "server")
    now[0] = 19
    assert authenticator.current().context is not None
    assert authenticator.current() is authenticator.current()


def test_client_without_a_trusted_certificate_is_rejected(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus", "stranger"):
        certificate(tmp_path, name)
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt,"
        " client_auth_type: RequireAndVerifyClientCert, min_version: TLS12,"
        " cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "server", "prometheus")) == 200
        for own in ("", "stranger"):
            with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
                status(port, trusting(tmp_path, "server", own))


def test_unusable_change_keeps_the_previous_rules(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "web.yaml").write_text(f"basic_auth_users: {{anna: '{HASH}'}}")
    with running(tmp_path / "web.yaml") as port:
        (tmp_path / "web.yaml").write_text("basic_auth_users: {anna: hunter2}")
        assert status(port) == 401
        assert status(port, user="anna:hunter2") == 200
    assert "the previous rules stay in force" in caplog.text
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
def test_file_with_fewer_requirements_keeps_the_previous_rules(
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
            status(port, user="anna:hunter2")
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            status(port, trusting(tmp_path, "server"), user="anna:hunter2")
        assert status(port, prometheus) == 401
        assert status(port, prometheus, user="anna:hunter2") == 200
    assert "the previous rules stay in force" in caplog.text


def test_empty_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").touch()
    with pytest.raises(WebConfigError, match=r"the file is empty; write \{\}"):
        Authenticator.from_file(str(tmp_path / "web.yaml"))


def test_kept_connection_ends_when_tls_is_enabled(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text("{}")
    with running(tmp_path / "web.yaml") as port:
        kept = http.client.HTTPConnection("localhost", port, timeout=60)
        kept.request("GET", "/metrics")
        assert kept.getresponse().read() is not None
        (tmp_path / "web.yaml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
        kept.request("GET", "/metrics")
        with pytest.raises((OSError, http.client.HTTPException)):
            kept.getresponse()
        kept.close()


def test_cipher_suites_of_tls_1_3_may_be_listed(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, cipher_suites: [TLS_AES_128_GCM_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "server")) == 200


def quoted(text: str) -> str:
    return json.dumps(text)  # valid YAML too


def test_certificates_may_be_inline(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus", "stranger"):
        certificate(tmp_path, name)
    texts = {name: quoted((tmp_path / name).read_text()) for name in ("server.crt", "server.key", "prometheus.crt")}
    (tmp_path / "web.yaml").write_text(
        f"tls_server_config: {{cert: {texts['server.crt']}, key: {texts['server.key']},"
        f" client_ca: {texts['prometheus.crt']}, client_auth_type: RequireAndVerifyClientCert}}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "server", "prometheus")) == 200
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            status(port, trusting(tmp_path, "server", "stranger"))


def test_client_certificate_must_hold_an_allowed_name(tmp_path: Path, certificate: Certificate) -> None:
    for name in ("server", "prometheus"):
        certificate(tmp_path, name)
    rules = (
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: prometheus.crt,"
        " client_auth_type: VerifyClientCertIfGiven, client_allowed_sans: [%s]}"
    )
    (tmp_path / "web.yaml").write_text(rules % "someone, localhost")
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "server", "prometheus")) == 200
        (tmp_path / "web.yaml").write_text(rules % "someone")
        with pytest.raises((OSError, http.client.HTTPException)):
            status(port, trusting(tmp_path, "server", "prometheus"))
        assert status(port, trusting(tmp_path, "server")) == 200, "the names of a missing certificate are not checked"


def test_requested_certificate_is_optional(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_auth_type: RequestClientCert,"
        " cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port, trusting(tmp_path, "server")) == 200


def test_rate_limit_rejects_requests_above_the_burst(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("rate_limit: {interval: 1h, burst: 2}")
    with running(tmp_path / "web.yaml") as port:
        assert [status(port) for _ in range(4)] == [200, 200, 429, 429]
        assert status(port, path="/-/healthy") == 200, "the kubelet's probes are not limited"
        (tmp_path / "web.yaml").write_text("rate_limit: {interval: 0, burst: 2}")
        assert [status(port) for _ in range(4)] == [200] * 4


def encrypt(key: Path, encrypted: Path) -> None:
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    encrypted.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tls: {}", r"the file has the unknown key tls; use one of tls_server_config"),
        ("tls_server_config: {cert_file: a.crt}", r"tls_server_config\.key_file: missing; give the path of a PEM file"),
        (
            "tls_server_config: {cert_file: a.crt, key_file: a.key}",
            r"cert_file and key_file \(a\.crt, a\.key\): No such file or directory; give a certificate and its key",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: two.key}",
            r"\(one\.crt, two\.key\): .*mismatch.*; give a certificate",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_ca_file: a.crt}",
            r"client_ca_file \(a\.crt\): No such file or directory; give the path of a PEM file",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, min_version: SSL3}",
            r"unknown version SSL3; write one of",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_auth_type: Maybe}",
            r"unknown value Maybe; write one of",
        ),
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
            r"cannot be combined with client_ca;",
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, client_allowed_sans: [a]}",
            r"client_allowed_sans has no effect with NoClientCert",
        ),
        ("tls_server_config: {cert: x, key: hunter2}", r"tls_server_config\.cert and key: "),
        ("rate_limit: {interval: 1, burst: 2}", r"rate_limit\.interval: invalid duration '1'; use for example 1s"),
        (
            "rate_limit: {interval: 1s}",
            r"rate_limit\.burst is missing, so the limit allows no request; write 1 or more",
        ),
        ("rate_limit: {interval: 1s, burst: 0}", r"rate_limit\.burst: 0: not a whole number from 1"),
        ("rate_limit: {interval: 1s, burst: true}", r"rate_limit\.burst: true: not a whole number"),
        ("rate_limit: {interval: 1s, burst: 010}", r"rate_limit\.burst: 010: not a whole number"),
        ("rate_limit: {interval: 1s, burst: 2.7}", r"rate_limit\.burst: 2\.7: not a whole number"),
        ("rate_limit: {burst: 2}", r"rate_limit\.burst has no effect without rate_limit\.interval; give both"),
        (
            "rate_limit: {interval: 99999999h, burst: 2}",
            r"rate_limit\.interval: duration '99999999h' is above 290 years",
        ),
        ("rate_limit: {interval: , burst: 2}", r"rate_limit\.interval in line 1 has no value; write one"),
        (
            "tls_server_config:",
            r"tls_server_config in line 1 has no value; write its keys, remove it, or write \{\} for",
        ),
        ("basic_auth_users:", r"basic_auth_users in line 1 has no value"),
        ("http_server_config: {headers: }", r"http_server_config\.headers in line 1 has no value"),
        ("{a: 1, a: 2}", r"the key a is given twice, in line 1 and in line 1; remove one of them"),
        (
            "basic_auth_users:\n  anna: hunter2\n  anna: hunter3",
            r"the key anna is given twice, in line 2 and in line 3",
        ),
        ("basic_auth_users: {anna: }", r"basic_auth_users\.anna in line 1 has no value"),
        ("basic_auth_users: {anna: [hunter2]}", r"basic_auth_users\.anna in line 1 is not one text; write anna: VALUE"),
        ("basic_auth_users: {'a:b': hunter2}", r"basic_auth_users: invalid name 'a:b'; write printable characters"),
        ("basic_auth_users: {'': hunter2}", r"basic_auth_users: invalid name ''"),
        (f"basic_auth_users: {{anna: '{HASH.replace('$04$', '$31$')}'}}", r"anna is not a bcrypt hash of cost 4 to 18"),
        ("http_server_config: {http2: maybe}", r"http_server_config\.http2: maybe: not a boolean; write true or false"),
        (
            "basic_auth_users: {anna: hunter2}",
            r"basic_auth_users\.anna is not a bcrypt hash of cost 4 to 18; create one with: htpasswd -nB",
        ),
        ("basic_auth_users: {anna: $2y$10$}", r"basic_auth_users\.anna is not a bcrypt hash"),
        (
            "http_server_config: {headers: {X-XSS-Protection: \u0142}}",
            r"headers\.X-XSS-Protection is not a valid header",
        ),
        ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb: c"}}', r"X-XSS-Protection is not a valid header"),
        ("http_server_config: {headers: {X-XSS-Protection: ''}}", r"X-XSS-Protection in line 1 has no value"),
        ("http_server_config: {headers: {X-XSS-Protection: [a]}}", r"X-XSS-Protection in line 1 is not one text"),
        (
            "http_server_config: {headers: {X-Frame-Options: no}}",
            r"X-Frame-Options: invalid value no; write deny or same",
        ),
        ("http_server_config: {headers: {X-Content-Type-Options: sniff}}", r"invalid value sniff; write nosniff"),
        *(
            (
                f"http_server_config: {{headers: {{{name}: '7'}}}}",
                rf"headers has the unknown key {name}; use one of Strict",
            )
            for name in ("Content-Length", "content-length", "Transfer-Encoding", "Connection", "Content-Type", "Date")
        ),
        (
            "tls_server_config: {cert_file: one.crt, key_file: one.key, min_version: TLS13, max_version: TLS12}",
            r"above max_version",
        ),
        *(
            (f"tls_server_config: {{cert_file: one.crt, key_file: one.key, {rest}}}", message)
            for rest, message in (
                ("curve_preferences: []", r"tls_server_config\.curve_preferences in line 1 is an empty list; write at"),
                ("curve_preferences: ", r"curve_preferences is not a list"),
                ("curve_preferences: [CurveP256, CurveP256]", r"curve_preferences holds CurveP256 twice; remove one"),
                ("curve_preferences: [CurveP256, CurveP255]", r"unknown curve CurveP255; choose from CurveP256, Cur"),
                ("curve_preferences: [prime256v1]", r"unknown curve prime256v1"),
                ("curve_preferences: [[CurveP256]]", r"curve_preferences in line 1 is not one text"),
                ("cipher_suites: []", r"cipher_suites in line 1 is an empty list"),
                (
                    "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA999]",
                    r"cipher_suites: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA999 is not supported",
                ),
                (
                    "cipher_suites: [TLS_AES_128_GCM_SHA256], max_version: TLS12",
                    r"cipher_suites holds no suite of TLS 1\.2, but max_version is TLS12; add one",
                ),
                ("client_ca_file: one.crt, client_allowed_sans: []", r"client_allowed_sans in line 1 is an empty list"),
                (
                    "client_ca_file: one.crt, client_allowed_sans: [a, null]",
                    r"client_allowed_sans in line 1 has no valu",
                ),
                ("client_ca_file: ''", r"client_ca_file in line 1 has no value"),
                ("client_ca_file: one.crt, client_ca: x", r"client_ca cannot be combined with client_ca_file; remove"),
                ("key: hunter2", r"key cannot be combined with key_file; remove one of them"),
                ("client_ca_file: one.crt, client_auth_type: RequestClientCert", r"verifies no certificate, so"),
                ("min_version: 1.2", r"min_version: unknown version 1\.2; write one of TLS12, TLS13"),
                ("min_version: [TLS12, TLS13]", r"min_version in line 1 is not one text"),
                ('min_version: "TLS\\n"', r"unknown version TLS\\n;"),
                ("prefer_server_cipher_suites: maybe", r"prefer_server_cipher_suites: maybe: not a boolean"),
            )
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
        ("[" * 3000, r"invalid YAML"),
        ("basic_auth_users: [", r"invalid YAML: .* in line 1; write KEY: VALUE lines"),
    ],
)
def test_unusable_file_is_rejected_with_a_remedy(
    tmp_path: Path, certificate: Certificate, content: str, message: str
) -> None:
    for name in ("one", "two"):
        certificate(tmp_path, name)
    encrypt(tmp_path / "one.key", tmp_path / "locked.key")
    (tmp_path / "web.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(WebConfigError, match=message) as caught:
        Authenticator.from_file(str(tmp_path / "web.yaml"))
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_configured_header_is_in_every_response(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("http_server_config: {http2: false, headers: {X-Frame-Options: sameorigin}}")
    with running(tmp_path / "web.yaml") as port:
        for path in ("/metrics", "/nowhere"):
            client = http.client.HTTPConnection("localhost", port, timeout=60)
            client.request("GET", path)
            response = client.getresponse()
            assert response.headers.get_all("X-Frame-Options") == ["sameorigin"]
            assert len(response.read()) == int(response.headers["Content-Length"])
            client.close()


def test_sections_may_be_empty_explicitly(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("{tls_server_config: {}, basic_auth_users: {}, rate_limit: {}}")
    with running(tmp_path / "web.yaml") as port:
        assert status(port) == 200


def offering(folder: Path, curve: str, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return the context of a client that offers one curve and one version."""
    context = trusting(folder, "server")
    set_groups_of_openssl(context, curve)
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize(
    ("listed", "accepted"),
    [
        ("[X25519, CurveP256]", {"X25519", "prime256v1"}),
        ("[CurveP256, X25519]", {"X25519", "prime256v1"}),
        ("[CurveP384]", {"secp384r1"}),
        ("[CurveP521, CurveP384, CurveP256, X25519]", {"secp521r1", "secp384r1", "prime256v1", "X25519"}),
    ],
)
def test_every_listed_curve_is_accepted_and_no_other(
    tmp_path: Path, certificate: Certificate, listed: str, accepted: set[str]
) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key, curve_preferences: {listed}}}"
    )
    with running(tmp_path / "web.yaml") as port:
        for curve in ("X25519", "prime256v1", "secp384r1", "secp521r1", "X448"):
            client = offering(tmp_path, curve, ssl.TLSVersion.TLSv1_3)
            if curve in accepted:
                assert status(port, client) == 200, curve
            else:
                with pytest.raises((OSError, http.client.HTTPException)):
                    status(port, client)
        if "prime256v1" in accepted:
            assert status(port, offering(tmp_path, "prime256v1", ssl.TLSVersion.TLSv1_2)) == 200


def test_suites_of_tls_1_3_alone_disable_tls_1_2(tmp_path: Path, certificate: Certificate) -> None:
    certificate(tmp_path, "server")
    (tmp_path / "web.yaml").write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, cipher_suites: [TLS_AES_128_GCM_SHA256]}"
    )
    with running(tmp_path / "web.yaml") as port:
        assert status(port, offering(tmp_path, "prime256v1", ssl.TLSVersion.TLSv1_3)) == 200
        with pytest.raises(ssl.SSLError):
            status(port, offering(tmp_path, "prime256v1", ssl.TLSVersion.TLSv1_2))


@pytest.mark.parametrize("prefers", [True, False])
def test_preference_of_suites_is_the_servers_unless_disabled(
    tmp_path: Path, certificate: Certificate, *, prefers: bool
) -> None:
    certificate(tmp_path, "server")
    suites = ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
    (tmp_path / "web.yaml").write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key, cipher_suites: [{', '.join(suites)}],"
        f" prefer_server_cipher_suites: {str(prefers).lower()}}}"
    )
    client = trusting(tmp_path, "server")
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
    with (
        running(tmp_path / "web.yaml") as port,
        socket.create_connection(("localhost", port)) as plain,
        client.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        cipher = secured.cipher()
        assert cipher is not None
        assert cipher[0] == f"ECDHE-ECDSA-AES{'128' if prefers else '256'}-GCM-SHA{'256' if prefers else '384'}"


@pytest.fixture
def secrets(tmp_path: Path, certificate: Certificate) -> Secrets:
    """All three Secrets as Kubernetes mounts them: the directory holds links to the files of the current version."""
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


def test_secrets_require_certificate_and_password_except_for_probes(tmp_path: Path, secrets: Secrets) -> None:
    uncertified, prometheus = trusting(tmp_path, "server"), trusting(tmp_path, "server", "prometheus")
    with running(secrets) as port:
        assert status(port, prometheus, user="anna:hunter2") == 200
        assert status(port, prometheus, user="anna:hunter3") == 401
        assert status(port, prometheus, user="Anna:hunter2") == 401
        assert status(port, prometheus) == 401
        assert status(port, uncertified, user="anna:hunter2") == 403
        assert status(port, uncertified, user="anna:hunter2", path="/") == 403
        assert status(port, uncertified, path="/-/ready") == 200
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            status(port, trusting(tmp_path, "server", "stranger"), path="/-/ready")


def test_changed_secrets_are_reloaded_without_a_restart(
    tmp_path: Path, secrets: Secrets, caplog: pytest.LogCaptureFixture
) -> None:
    prometheus = trusting(tmp_path, "server", "prometheus")
    with running(secrets) as port:
        mounted(tmp_path / "login", {"username": "anna", "password": "hunter3"})
        assert status(port, prometheus, user="anna:hunter2") == 401
        assert status(port, prometheus, user="anna:hunter3") == 200
        mounted(tmp_path / "login", {"username": "anna", "password": ""})
        assert status(port, prometheus, user="anna:") == 401
        assert status(port, prometheus, user="anna:hunter3") == 200
        mounted(tmp_path / "login", {"username": "anna", "password": "hunter4"})
        mounted(tmp_path / "clients", {"ca.crt": tmp_path / "stranger.crt"})
        with pytest.raises(OSError, match=r"(?i)alert|reset|closed|EOF|pipe"):
            status(port, prometheus, user="anna:hunter4")
    assert (
        "the Secret must hold username, without a colon, and password; the previous rules stay in force" in caplog.text
    )
    assert "hunter" not in caplog.text


def test_password_is_required_without_tls(tmp_path: Path) -> None:
    mounted(tmp_path / "login", {"username": "anna", "password": "hünter2"})
    with running(Secrets(basic_auth=str(tmp_path / "login"))) as port:
        assert status(port, user="anna:hünter2") == 200
        assert status(port) == 401
        assert status(port, path="/-/healthy") == 200


@pytest.mark.parametrize(
    ("folder", "keys", "message"),
    [
        ("tls", {"tls.crt": "x"}, r"--web\.tls-secret=.*/tls: .*; the Secret must hold tls\.crt and its tls\.key"),
        ("clients", {"ca.crt": "x"}, r"--web\.client-ca-secret=.*/clients: .*; the Secret must hold ca\.crt"),
        (
            "login",
            {"username": "a:b"},
            r"--web\.basic-auth-secret=.*: missing or invalid user name or password; the Secret",
        ),
        ("login", {"password": " \n"}, r"missing or invalid user name or password"),
    ],
)
def test_unusable_secret_is_rejected_with_a_remedy(
    tmp_path: Path, secrets: Secrets, folder: str, keys: dict[str, Path | str], message: str
) -> None:
    rest: dict[str, Path | str] = {
        link.name: link.read_text() for link in (tmp_path / folder).iterdir() if not link.name.startswith("..")
    }
    mounted(tmp_path / folder, rest | keys)
    with pytest.raises(SettingError, match=message) as caught:
        Authenticator.from_secrets(secrets)
    assert "hunter" not in str(caught.value)


def test_missing_secret_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"login/username'; the Secret must hold username"):
        Authenticator.from_secrets(Secrets(basic_auth=str(tmp_path / "login")))
