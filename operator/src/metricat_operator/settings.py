"""Settings of the operator, from environment variables and flags that the chart sets. No other module reads them."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(Exception):
    """A setting is missing or invalid; the message names the variable, the value and the remedy."""


@dataclass(frozen=True)
class Settings:
    """Settings of this operator. `lease` is the namespace and the name of its Lease."""

    agent_image: str
    agent_image_pull_policy: str = "IfNotPresent"
    agent_image_pull_secrets: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()  # whose targets are reconciled; empty: all
    lease: tuple[str, str] = ("default", "metricat-operator")  # namespace and name
    pod_name: str = ""  # the identity that holds the Lease
    pod_uid: str = ""  # UID of that pod; empty outside a pod
    workers: int = 4
    health_port: int = 8080
    prometheus_queries: bool = True
    query_namespaces: tuple[str, ...] = ()  # empty: all namespaces
    namespace: str = ""  # the operator's own
    metrics_port: int = 8443
    log_format: str = "json"  # or "text"
    log_level: str = "INFO"

    def may_query(self, namespace: str) -> bool:
        """Return whether the operator may query a Prometheus in this namespace."""
        return self.prometheus_queries and (not self.query_namespaces or namespace in self.query_namespaces)


_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Name of an object (RFC 1123), for example of a namespace or a Secret."""
FLAGS = {
    "--workers": "METRICAT_WORKERS",
    "--log-level": "METRICAT_LOG_LEVEL",
    "--log-format": "METRICAT_LOG_FORMAT",
}
"""The flags of `metricat-operator run`, each with its variable. Roles and probes of the chart depend on the others."""
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def read(environ: Mapping[str, str]) -> Settings:
    """Return the settings from `METRICAT_*` variables.

    Raises:
        SettingsError: a variable is missing or has an invalid value.
    """

    def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = environ.get(name, default)
        if value not in allowed:
            raise SettingsError(f"{name}={value!r} is invalid; use one of {', '.join(allowed)}")
        return value

    def number(name: str, default: int, low: int, high: int) -> int:
        text = environ.get(name, str(default))
        if not re.fullmatch("0|[1-9][0-9]{0,8}", text) or not low <= int(text) <= high:
            raise SettingsError(f"{name}={text!r} is invalid; use a whole number from {low} to {high}")
        return int(text)

    def items(name: str) -> tuple[str, ...]:
        return _names(name, environ.get(name, ""))

    def pair(name: str, default: str) -> tuple[str, str]:
        first, _, second = environ.get(name, default).partition("/")
        if not _NAME.fullmatch(first) or not _NAME.fullmatch(second):
            raise SettingsError(f"{name}={environ[name]!r} is invalid; use NAMESPACE/NAME")
        return first, second

    image = environ.get("METRICAT_AGENT_IMAGE", "").strip()
    if not image:
        raise SettingsError("METRICAT_AGENT_IMAGE is not set; set it to the image of the agents, with registry and tag")
    health_port = number("METRICAT_HEALTH_PORT", 8080, 1, 65535)
    metrics_port = number("METRICAT_METRICS_PORT", 8443, 1, 65535)
    _check_ports(health_port, metrics_port)
    return Settings(
        agent_image=image,
        agent_image_pull_policy=choice("METRICAT_AGENT_IMAGE_PULL_POLICY", "IfNotPresent", _PULL_POLICIES),
        agent_image_pull_secrets=items("METRICAT_AGENT_IMAGE_PULL_SECRETS"),
        namespaces=items("METRICAT_NAMESPACES"),
        lease=pair("METRICAT_LEASE", "default/metricat-operator"),
        pod_name=environ.get("METRICAT_POD_NAME") or socket.gethostname(),
        pod_uid=environ.get("METRICAT_POD_UID", ""),
        workers=number("METRICAT_WORKERS", 4, 1, 64),
        health_port=health_port,
        prometheus_queries=choice("METRICAT_PROMETHEUS_QUERIES", "true", ("true", "false")) == "true",
        query_namespaces=items("METRICAT_PROMETHEUS_QUERY_NAMESPACES") or items("METRICAT_NAMESPACES"),
        namespace=environ.get("METRICAT_NAMESPACE", ""),
        metrics_port=metrics_port,
        log_format=choice("METRICAT_LOG_FORMAT", "json", ("json", "text")),
        log_level=choice("METRICAT_LOG_LEVEL", "INFO", _LOG_LEVELS),
    )


def _names(variable: str, text: str) -> tuple[str, ...]:
    """Return the names in a list separated by commas. An empty text is an empty list."""
    found = tuple(item.strip() for item in text.split(",") if item.strip())
    if text.strip() and not found:
        raise SettingsError(f"{variable}={text!r} contains no name; list names separated by commas, or leave it empty")
    if wrong := [item for item in found if not _NAME.fullmatch(item)]:
        raise SettingsError(f"{variable}={text!r}: {wrong[0]!r} is not a name of a Kubernetes object; correct it")
    return found


def _check_ports(health: int, metrics: int) -> None:
    if health == metrics:
        raise SettingsError(
            f"METRICAT_HEALTH_PORT={health} and METRICAT_METRICS_PORT={metrics} are equal; set two different ports"
        )
