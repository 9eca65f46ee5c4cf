"""The login for a Prometheus: promtool's HTTP client configuration file, and headers."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from metricat_cli import http_config
from metricat_cli.__main__ import main
from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.kubeconfig import Credentials
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient
from metricat_cli.prometheus_of_target import ProxiedPrometheus
from support.fixed_responses import body, server

NOWHERE = "http://127.0.0.1:9"


def written(folder: Path, text: str) -> str:
    file = folder / "http.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("", {}),
        ("basic_auth: {username: anna, password: hunter2}", {"Authorization": "Basic YW5uYTpodW50ZXIy"}),
        ("basic_auth: {username: anna, password_file: secret}", {"Authorization": "Basic YW5uYTpodW50ZXIy"}),
        ("authorization: {credentials: abc}", {"Authorization": "Bearer abc"}),
        ("authorization: {type: Token, credentials_file: secret}", {"Authorization": "Token hunter2"}),
        (
            "http_headers: {X-Scope-OrgID: {values: [team]}, X-Key: {secrets: [a], files: [secret]}}",
            {"X-Scope-OrgID": "team", "X-Key": "a, hunter2"},
        ),
    ],
)
def test_login_of_a_file_becomes_headers(text: str, headers: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    assert http_config.read(written(tmp_path, text)).headers == headers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("oauth2: {client_id: x}", "the field oauth2 is not supported. Use basic_auth, authorization, "),
        ("basic_auth: {user: anna}", "the field basic_auth.user is not supported. Use username, "),
        ("basic_auth: anna", "basic_auth is not a map. Write its fields below it"),
        ("basic_auth: {password: x}", "basic_auth.username is missing. Set username or username_file"),
        ("basic_auth: {username: a, password: 7}", "basic_auth.password is not a string. Write the value in quotes"),
        (
            "basic_auth: {username: a, password: b, password_file: c}",
            "basic_auth.password and password_file conflict. Set one of them",
        ),
        ("basic_auth: {username: a, password_file: gone}", "gone: No such file or directory. Correct the path"),
        (
            "{basic_auth: {username: a}, authorization: {credentials: b}}",
            "basic_auth and authorization conflict. Set one of them",
        ),
        ("authorization: {type: Basic, credentials: b}", "authorization.type is Basic. Use basic_auth"),
        ("authorization: {credentials: 'a\n\n  b'}", "the header Authorization has a line break or a character"),
        ("http_headers: {authorization: {values: [x]}}", "http_headers contains Authorization. Use basic_auth"),
        ("http_headers: {X-A: {values: x}}", "http_headers.X-A.values is not a list of strings. Write for example"),
        ("tls_config: {insecure_skip_verify: 'no'}", "insecure_skip_verify: invalid value 'no'; use true or false"),
        ("tls_config: {cert_file: a}", "tls_config has only one of cert_file and key_file. Set both"),
        ("tls_config: {ca_file: secret}", "tls_config: the CA or the certificate is not PEM"),
        ("tls_config: {cert_file: a, key_file: b}", "b: No such file or directory. Correct the paths"),
    ],
)
def test_invalid_file_is_refused_with_the_field(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2\n")
    with pytest.raises(CommandError, match=re.escape(message)) as refused:
        http_config.read(written(tmp_path, text))
    assert str(refused.value).startswith(f"{tmp_path}/http.yaml: ")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("command", ["alerts", "check", "bundle"])
@pytest.mark.parametrize("option", ["--header=Authorization: Bearer x", "--http.config.file=login.yaml"])
def test_login_without_a_url_is_refused(command: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The API server removes the header Authorization from requests to pods."""
    assert main([command, option]) == 2
    assert f"{option.partition('=')[0]} needs --prometheus: " in capsys.readouterr().err


def test_header_of_the_command_line_may_not_replace_one_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, "authorization: {credentials: abc}")
    arguments = ["--prometheus", NOWHERE, "--http.config.file", file, "--header", "authorization: Bearer x"]
    assert main(["backtest", "-f", "x", *arguments]) == 2
    assert "--header: authorization is given twice. Remove one of them" in capsys.readouterr().err


@contextmanager
def redirecting(to: str, seen: list[str]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"{to}/login")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_login_is_not_sent_to_the_target_of_a_redirect() -> None:
    seen: list[str] = []
    other: list[str] = []
    with redirecting("", other) as elsewhere, redirecting(elsewhere, seen) as url:
        client = PrometheusClient(url, {"Authorization": "Bearer abc"})
        with pytest.raises(CommandError, match=r"returned 302: .*Set --prometheus to the base URL"):
            client.alerts()
    assert (seen, other) == (["/api/v1/alerts"], [])


@pytest.mark.parametrize(
    ("code", "content", "message"),
    [
        (401, b"Unauthorized\n", "Unauthorized. Set --prometheus and --http.config.file to query it directly, for "),
        (
            403,
            b'{"message": "pods \\"p-0\\" is forbidden: User \\"ada\\" cannot get resource \\"pods/proxy\\""}',
            '"pods/proxy". Ask the administrator of the cluster for this permission. Set --prometheus to query it',
        ),
    ],
)
def test_refusal_through_the_api_server_names_the_direct_way(code: int, content: bytes, message: str) -> None:
    with server(body(content, code)) as url:
        api = ApiServer(Credentials(server=url))
        client = ProxiedPrometheus("http://p-0.p.monitoring.svc:9091", api=api, namespace="monitoring")
        with pytest.raises(CommandError, match=re.escape(message)):
            client.alerts()
        api.close()
