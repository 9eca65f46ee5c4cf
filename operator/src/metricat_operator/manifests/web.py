"""Both ends of a protected scrape: the Secrets that agent pods mount, and those that Prometheus uses.

See docs/design/0008.
"""

from collections.abc import Iterator

from metricat_operator import naming
from metricat_operator.api.web import WebSettings
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context

_FOLDER = "/etc/metricat"
_KEYS = {"tls": ("tls.crt", "tls.key"), "client-ca": ("ca.crt",), "basic-auth": ("username", "password")}
"""The mounted keys of each Secret. No others: the Secret of a certificate authority also holds its private key."""


def _mounted(web: WebSettings) -> Iterator[tuple[str, str]]:
    """Return the volume name and the Secret name of each configured Secret."""
    names = {
        "tls": web.tls_secret_name,
        "client-ca": web.client_ca_secret_name,
        "basic-auth": web.basic_auth_secret_name,
    }
    return ((volume, name) for volume, name in names.items() if name)


def scheme(web: WebSettings) -> str:
    """Return the URL scheme of the agents."""
    return "https" if web.tls_secret_name else "http"


def arguments(web: WebSettings) -> list[str]:
    """Return the agent's flags for the directories of the Secrets."""
    return [f"--web.{volume}-secret={_FOLDER}/{volume}" for volume, _ in _mounted(web)]


def volumes(web: WebSettings) -> list[Manifest]:
    """Return a volume for each Secret. The kubelet waits for a missing Secret and reports it in an event."""
    return [
        {"name": volume, "secret": {"secretName": name, "items": [{"key": key, "path": key} for key in _KEYS[volume]]}}
        for volume, name in _mounted(web)
    ]


def mounts(web: WebSettings) -> list[Manifest]:
    """Return mounts of whole directories: the mount of a single file never gets updates."""
    return [{"name": volume, "mountPath": f"{_FOLDER}/{volume}", "readOnly": True} for volume, _ in _mounted(web)]


def endpoint(context: Context) -> Manifest:
    """Return the fields of a ServiceMonitor's endpoint for TLS and authentication."""
    web = context.spec.agent.web
    found: Manifest = {"scheme": scheme(web)}
    if web.tls_secret_name:
        tls: Manifest = {
            "ca": {"secret": _key(web.tls_secret_name, "ca.crt")},
            # Prometheus scrapes pod addresses, which are in no certificate.
            "serverName": web.server_name or f"{naming.child(context.name)}.{context.namespace}.svc",
        }
        if own := web.prometheus_client_secret_name:
            tls |= {"cert": {"secret": _key(own, "tls.crt")}, "keySecret": _key(own, "tls.key")}
        found["tlsConfig"] = tls
    if name := web.basic_auth_secret_name:
        found["basicAuth"] = {"username": _key(name, "username"), "password": _key(name, "password")}
    return found


def _key(secret: str, key: str) -> Manifest:
    return {"name": secret, "key": key}
