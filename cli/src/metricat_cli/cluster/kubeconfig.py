"""Credentials for the API server: of kubeconfig files, as kubectl reads them, or of a pod's ServiceAccount."""

import base64
import binascii
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from metricat_cli.errors import CommandError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_EXEC_SECONDS = 60
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_TOP = (
    *((kind, list, "a list") for kind in ("clusters", "users", "contexts")),
    ("current-context", str, "text"),
)
_TEXTS = {
    "context": ("cluster", "user", "namespace"),
    "cluster": ("server", "certificate-authority", "certificate-authority-data", "tls-server-name", "proxy-url"),
    "user": (
        *("token", "tokenFile", "username", "password", "as"),
        *("client-certificate", "client-certificate-data", "client-key", "client-key-data"),
    ),
}
"""The fields of each section that are text."""

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as Loader  # type: ignore[assignment]


@dataclass(frozen=True)
class Credentials:
    """The address of an API server, and the credentials of a user. Certificates and keys are PEM texts."""

    server: str
    context: str = ""
    namespace: str = "default"
    authority: str = ""
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: bool = True
    server_name: str = ""
    """The name in the certificate of the API server, if it is not the host of the URL."""
    proxy: str = ""
    in_cluster: bool = False


def load(
    environment: Mapping[str, str], *, kubeconfig: str = "", context: str = "", impersonate: str = ""
) -> Credentials:
    """Return the credentials of a context: by default the current one, or in a pod those of its ServiceAccount.

    Raises:
        CommandError: the kubeconfig or the context is missing or not usable.
    """
    files = _files(environment, kubeconfig)
    if kubeconfig and not files[0].exists():
        raise CommandError(f"the kubeconfig {kubeconfig} does not exist. Check --kubeconfig")
    found = [one for one in files if one.is_file()]
    if not found and not context and (credentials := _of_pod(environment)):
        return credentials
    if not found:
        names = ", ".join(map(str, files))
        raise CommandError(f"no kubeconfig exists ({names}). Set --kubeconfig or the variable KUBECONFIG")
    return _of_context(_merged(found), context, impersonate, kubeconfig)


def contexts(environment: Mapping[str, str], kubeconfig: str = "") -> list[str]:
    """Return the names of all contexts in the kubeconfig files."""
    return list(_merged([one for one in _files(environment, kubeconfig) if one.is_file()])["contexts"])


def _files(environment: Mapping[str, str], kubeconfig: str) -> list[Path]:
    if kubeconfig:
        return [Path(kubeconfig).expanduser()]
    if named := [Path(one) for one in environment.get("KUBECONFIG", "").split(os.pathsep) if one]:
        return named
    return [Path.home() / ".kube" / "config"]


def _of_pod(environment: Mapping[str, str]) -> Credentials | None:
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    token = _ACCOUNT / "token"
    if not host or not token.exists():
        return None
    try:
        return Credentials(
            f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
            namespace=(_ACCOUNT / "namespace").read_text().strip(),
            authority=(_ACCOUNT / "ca.crt").read_text(),
            headers={"Authorization": f"Bearer {token.read_text().strip()}"},
            in_cluster=True,
        )
    except OSError as error:
        raise CommandError(
            f"cannot read the token of the pod's ServiceAccount: {error.strerror}. "
            "Set automountServiceAccountToken: true, or use --kubeconfig"
        ) from error


def _merged(files: list[Path]) -> dict[str, Any]:
    """Return the content of all files. The first file that has a name or a value wins, as in kubectl."""
    merged: dict[str, Any] = {"clusters": {}, "users": {}, "contexts": {}, "current-context": ""}
    for file in files:
        try:
            content = yaml.load(file.read_text(encoding="utf-8"), Loader) or {}
        except OSError as error:
            raise CommandError(f"cannot read the kubeconfig {file}: {error.strerror}. Check its permissions") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise CommandError(f"the kubeconfig {file} is not valid YAML. {_check(file)}") from error
        if not isinstance(content, dict):
            raise CommandError(f"the kubeconfig {file} is not a kubeconfig. {_check(file)}")
        for key, form, what in _TOP:
            if not isinstance(content.get(key) or form(), form):
                raise CommandError(f"the kubeconfig {file} is not valid: {key} is not {what}. {_check(file)}")
        merged["current-context"] = merged["current-context"] or content.get("current-context") or ""
        for kind in ("clusters", "users", "contexts"):
            for entry in content.get(kind) or []:
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    value = entry.get(kind.removesuffix("s")) or {}
                    merged[kind].setdefault(entry["name"], _with_absolute_paths(value, file.parent))
    return merged


def _check(file: Path | str) -> str:
    """Return how to see the content of a kubeconfig; without a file, of the default one."""
    return f"Check it with: kubectl config view{f' --kubeconfig={file}' if file else ''}"


def _with_absolute_paths(value: Any, folder: Path) -> Any:
    """Return a cluster or user whose file names are relative to the folder of its kubeconfig."""
    if not isinstance(value, dict):
        return {}
    files = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return {key: str(folder / item) if key in files and item else item for key, item in value.items()}


def _of_context(config: Mapping[str, Any], context: str, impersonate: str, kubeconfig: str) -> Credentials:
    name = context or config["current-context"]
    if not name:
        raise CommandError("the kubeconfig has no current context. Run: kubectl config use-context NAME")
    if name not in config["contexts"]:
        known = ", ".join(sorted(config["contexts"])) or "none"
        raise CommandError(f"the context {name} does not exist. The kubeconfig has the contexts: {known}")
    chosen = config["contexts"][name]
    _check_texts(name, "context", chosen, kubeconfig)
    cluster, user = config["clusters"].get(chosen.get("cluster")), config["users"].get(chosen.get("user"), {})
    if not cluster or not cluster.get("server"):
        raise CommandError(f"the context {name} names no cluster with a server. {_check(kubeconfig)}")
    _check_texts(name, "cluster", cluster, kubeconfig)
    _check_texts(name, "user", user, kubeconfig)
    _check_server(name, cluster["server"])
    unusable = f"the credentials of the context {name} are not usable"
    test = f"Test them with: kubectl auth whoami --context={name}{f' --kubeconfig={kubeconfig}' if kubeconfig else ''}"
    try:
        authority = _pem(cluster, "certificate-authority")
        headers, certificate, key = _identity(user, cluster, authority)
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"is not readable ({error.strerror})"
        raise CommandError(f"{unusable}: the file {error.filename} {why}. {test}") from error
    except ValueError as error:
        raise CommandError(f"{unusable}: {error}. {test}") from error
    if as_user := impersonate or user.get("as", ""):
        headers["Impersonate-User"] = as_user
    if wrong := next((key for key, value in headers.items() if not value.isprintable()), ""):
        raise CommandError(f"{unusable}: the header {wrong} has a control character. Check the token, and --as")
    return Credentials(
        cluster["server"].rstrip("/"),
        name,
        chosen.get("namespace") or "default",
        authority,
        certificate,
        key,
        headers,
        verify=not cluster.get("insecure-skip-tls-verify"),
        server_name=cluster.get("tls-server-name") or "",
        proxy=cluster.get("proxy-url") or "",
    )


def _check_texts(name: str, kind: str, fields: Mapping[str, Any], kubeconfig: str) -> None:
    for key in _TEXTS[kind]:
        if not isinstance(fields.get(key) or "", str):
            raise CommandError(
                f"the context {name} is not usable: {key} of its {kind} is not text. {_check(kubeconfig)}"
            )


def _check_server(name: str, server: str) -> None:
    try:
        url = urlsplit(server)
        valid = url.scheme in ("http", "https") and url.hostname and url.port != 0 and not re.search(r"[^!-~]", server)
    except ValueError:  # the port
        valid = False
    if not valid:
        raise CommandError(
            f"the server {server!r} of the context {name} is not a URL; use for example https://api.example.com:6443"
        )


def _identity(user: Mapping[str, Any], cluster: Mapping[str, Any], authority: str) -> tuple[dict[str, str], str, str]:
    """Return the headers, the client certificate and its key of a user."""
    certificate, key = _pem(user, "client-certificate"), _pem(user, "client-key")
    token = user.get("token") or ""
    if user.get("tokenFile"):
        token = _content(user["tokenFile"]).strip()
    if user.get("exec") and not token and not certificate:
        token, certificate, key = _run_plugin(user["exec"], cluster, authority)
    if user.get("auth-provider") and not token:
        raise ValueError("auth-provider was removed from kubectl; use an exec plugin or a token")
    if token:
        return {"Authorization": f"Bearer {token}"}, certificate, key
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}, certificate, key
    return {}, certificate, key


def _pem(entry: Mapping[str, Any], name: str) -> str:
    """Return the PEM text of a field: its data, or the content of its file."""
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{name}-data is not base64 of PEM") from error
    return _content(entry[name]) if entry.get(name) else ""


def _content(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {file} is not text") from error


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _run_plugin(plugin: Mapping[str, Any], cluster: Mapping[str, Any], authority: str) -> tuple[str, str, str]:
    """Run an exec credential plugin (client.authentication.k8s.io); return the token, certificate and key."""
    if not isinstance(plugin, Mapping) or not plugin.get("command") or not isinstance(plugin["command"], str):
        raise ValueError("its exec plugin has no command")
    command, version = plugin["command"], plugin.get("apiVersion", "")
    try:
        arguments = [_text(one) for one in plugin.get("args") or []]
        variables = {_text(one["name"]): _text(one["value"]) for one in plugin.get("env") or []}
    except (KeyError, TypeError) as error:
        raise ValueError(f"args or env of the exec plugin {command} have a value that is not text") from error
    if version not in _EXEC_VERSIONS:
        raise ValueError(f"the exec plugin {command} has the apiVersion {version!r}; use {_EXEC_VERSIONS[0]}")
    spec: dict[str, Any] = {"interactive": os.isatty(0)}
    if plugin.get("provideClusterInfo"):
        spec["cluster"] = {
            "server": cluster["server"],
            "certificate-authority-data": base64.b64encode(authority.encode()).decode(),
            "insecure-skip-tls-verify": bool(cluster.get("insecure-skip-tls-verify")),
        }
    info = json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec})
    environment = {
        **os.environ,
        **variables,
        "KUBERNETES_EXEC_INFO": info,
    }
    try:
        done = subprocess.run(  # noqa: S603 -- the user's kubeconfig names it
            [command, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_EXEC_SECONDS,
            check=True,
        )
        status = json.loads(done.stdout)["status"]
        found = [status.get(key) or "" for key in ("token", "clientCertificateData", "clientKeyData")]
        token, certificate, key = map(str.strip, found)
    except FileNotFoundError as error:
        hint = " ".join(str(plugin.get("installHint") or "Install it, or correct the PATH").split())
        raise ValueError(f"the exec plugin {command} does not exist. {hint}") from error
    except OSError as error:
        raise ValueError(f"the exec plugin {command} cannot be started: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise ValueError(f"the exec plugin {command} ended with status {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"the exec plugin {command} did not end within {_EXEC_SECONDS} s") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"the exec plugin {command} printed no ExecCredential") from error
    return token, certificate, key
