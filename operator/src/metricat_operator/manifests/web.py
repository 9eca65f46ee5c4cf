"""Both ends of a protected scrape: the Secrets that an agent's pod mounts, and those that Prometheus is given."""

from collections.abc import Iterator

from metricat_operator import naming
from metricat_operator.api.web import WebSettings
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context

_FOLDER = "/etc/metricat"
_KEYS = {"tls": ("tls.crt", "tls.key"), "client-ca": ("ca.crt",), "basic-auth": ("username", "password")}
"""What of each Secret is mounted, and no more: an authority's Secret holds its private key too."""


def _mounted(web: WebSettings) -> Iterator[tuple[str, str]]:
    """Give volume and Secret, for each that is named."""
    names = {
        "tls": web.tls_secret_name,
        "client-ca": web.client_ca_secret_name,
        "basic-auth": web.basic_auth_secret_name,
    }
    return ((volume, name) for volume, name in names.items() if name)


def scheme(web: WebSettings) -> str:
    """How the agents speak."""
    return "https" if web.tls_secret_name else "http"


def arguments(web: WebSettings) -> list[str]:
    """The agent's flags that name the directories of the Secrets."""
    return [f"--web.{volume}-secret={_FOLDER}/{volume}" for volume, _ in _mounted(web)]


def volumes(web: WebSettings) -> list[Manifest]:
    """A volume for each Secret. The kubelet waits for a Secret that is not there, and says so in an event."""
    return [
        {"name": volume, "secret": {"secretName": name, "items": [{"key": key, "path": key} for key in _KEYS[volume]]}}
        for volume, name in _mounted(web)
    ]


def mounts(web: WebSettings) -> list[Manifest]:
    """Whole directories: a mount of a single file would never see it change."""
    return [{"name": volume, "mountPath": f"{_FOLDER}/{volume}", "readOnly": True} for volume, _ in _mounted(web)]


def endpoint(context: Context) -> Manifest:
    """How Prometheus speaks to the agents: fields of a ServiceMonitor's endpoint."""
    web = context.spec.agent.web
    found: Manifest = {"scheme": scheme(web)}
    if web.tls_secret_name:
        tls: Manifest = {
            "ca": {"secret": _key(web.tls_secret_name, "ca.crt")},
            # Agents are scraped by their pods' addresses, which no certificate knows.
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
