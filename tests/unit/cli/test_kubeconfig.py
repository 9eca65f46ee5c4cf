"""Credentials of kubeconfig files, as kubectl reads them."""

import base64
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_cli.cluster import load
from metricat_cli.errors import CommandError

PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
USER: dict[str, Any] = {"token": "secret"}
EXEC: dict[str, Any] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "echo"}}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def config(user: Any = None, **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "a",
        "clusters": [{"name": "c", "cluster": {"server": "https://c:6443", **cluster}}],
        "users": [{"name": "u", "user": USER if user is None else user}],
        "contexts": [
            {"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "b", "context": {"cluster": "c", "user": "u"}},
            {"name": "broken", "context": {"cluster": "none", "user": "u"}},
        ],
    }


def written(folder: Path, content: Any, name: str = "config") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_current_context_is_the_default(tmp_path: Path) -> None:
    found = load({}, kubeconfig=written(tmp_path, config()))
    assert (found.server, found.context, found.namespace) == ("https://c:6443", "a", "team")
    assert found.headers == {"Authorization": "Bearer secret"}
    assert "secret" not in repr(found)


def test_context_without_a_namespace_uses_default(tmp_path: Path) -> None:
    assert load({}, kubeconfig=written(tmp_path, config()), context="b").namespace == "default"


def test_first_of_several_files_wins(tmp_path: Path) -> None:
    one = written(tmp_path, {"current-context": "b"}, "one")
    two = written(tmp_path, config(), "two")
    assert load({"KUBECONFIG": f"{one}:{tmp_path}/missing:{two}"}).context == "b"


def test_files_are_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(PEM)
    (tmp_path / "token").write_text("from-file\n")
    user = {"tokenFile": "token"}
    found = load({}, kubeconfig=written(tmp_path, config(user, **{"certificate-authority": "ca.crt"})))
    assert found.authority == PEM
    assert found.headers == {"Authorization": "Bearer from-file"}


def test_client_certificate_and_server_name_are_read(tmp_path: Path) -> None:
    user = {"client-certificate-data": encoded(PEM), "client-key-data": encoded("key"), "as": "ada"}
    cluster = {"tls-server-name": "api", "insecure-skip-tls-verify": True, "proxy-url": "http://p:1"}
    found = load({}, kubeconfig=written(tmp_path, config(user, **cluster)))
    assert (found.certificate, found.key, found.server_name, found.verify) == (PEM, "key", "api", False)
    assert (found.headers, found.proxy) == ({"Impersonate-User": "ada"}, "http://p:1")


def plugin(folder: Path, script: str) -> dict[str, Any]:
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(path),
            "args": ["login"],
            "env": [{"name": "REALM", "value": "r"}],
            "provideClusterInfo": True,
        }
    }


def test_exec_plugin_gets_the_cluster_and_returns_a_token(tmp_path: Path) -> None:
    script = (
        f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; echo "{{\\"status\\": {{\\"token\\": \\"$1-$REALM\\"}}}}"'
    )
    found = load({}, kubeconfig=written(tmp_path, config(plugin(tmp_path, script))))
    assert found.headers == {"Authorization": "Bearer login-r"}
    info = json.loads((tmp_path / "info").read_text())
    assert info["spec"]["cluster"]["server"] == "https://c:6443"


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 3", "ended with status 3"), ("echo no", "printed no ExecCredential")],
)
def test_failed_exec_plugin_is_named(script: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=message):
        load({}, kubeconfig=written(tmp_path, config(plugin(tmp_path, script))))


@pytest.mark.parametrize(
    ("content", "context", "message"),
    [
        ("{", "", "is not valid YAML. Check it with: kubectl config view --kubeconfig=/"),
        ("words", "", "is not a kubeconfig"),
        ({"contexts": []}, "", "has no current context. Run: kubectl config use-context NAME"),
        (config(), "nope", "the context nope does not exist. The kubeconfig has the contexts: a, b, broken"),
        (config(), "broken", "names no cluster with a server"),
        (config({"exec": {"apiVersion": "v0", "command": "x"}}), "", "has the apiVersion 'v0'"),
        (config({"client-certificate": "gone.crt"}), "", "are not usable: the file .*gone.crt does not exist"),
        (config({"client-certificate-data": "%"}), "", "client-certificate-data is not base64 of PEM"),
        (config({"auth-provider": {"name": "gcp"}}), "", "auth-provider was removed from kubectl"),
        ({"clusters": 5}, "", "is not valid: clusters is not a list"),
        ({"current-context": ["a"]}, "", "is not valid: current-context is not text"),
        ("a: 2026-13-45", "", "is not valid YAML"),
        (config(server=5), "", "the context a is not usable: server of its cluster is not text"),
        (config({"token": ["x"]}), "", "token of its user is not text"),
        (config(server="api.example.com"), "", "the server 'api.example.com' of the context a is not a URL; use for"),
        (config(server="https://api:port"), "", "is not a URL"),
        (config(server="https://a b"), "", "is not a URL"),
        (config(server="https://[::1"), "", "is not a URL"),
        (config({"token": "a\nb"}), "", "the header Authorization has a control character. Check the token"),
        (config({"client-certificate": "/bin/sh"}), "", "the file /bin/sh is not text"),
        (config({"exec": "aws"}), "", "its exec plugin has no command"),
        (
            config({"exec": EXEC["exec"] | {"args": [5]}}),
            "",
            "args or env of the exec plugin echo have a value that is not text",
        ),
        (config({"exec": EXEC["exec"] | {"env": [{"name": "A"}]}}), "", "args or env of the exec plugin echo"),
        (config({"exec": EXEC["exec"] | {"command": "/tmp"}}), "", "exec plugin /tmp cannot be started: Permission"),
        (config({"exec": EXEC["exec"] | {"args": ['{"status": []}']}}), "", "echo printed no ExecCredential"),
        (config({"exec": EXEC["exec"] | {"args": ['{"status": {"token": 5}}']}}), "", "echo printed no ExecCredential"),
        (
            config({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin"}}),
            "",
            "the exec plugin no-such-plugin does not exist. Install it",
        ),
    ],
)
def test_unusable_kubeconfig_names_the_remedy(content: Any, context: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=message) as refused:
        load({}, kubeconfig=written(tmp_path, content), context=context)
    assert "Errno" not in str(refused.value)


def test_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nope does not exist\. Check --kubeconfig"):
        load({}, kubeconfig=str(tmp_path / "nope"))
    with pytest.raises(CommandError, match=r"no kubeconfig exists .*Set --kubeconfig"):
        load({"KUBECONFIG": str(tmp_path / "nope")})
