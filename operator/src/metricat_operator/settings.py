"""Settings of the operator, read from the environment variables that the chart sets. No other module reads them."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(Exception):
    """A setting is missing or invalid; the message names the variable, the value and the remedy."""


@dataclass(frozen=True)
class Settings:
    """How this operator was installed."""

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
        if not text.isdecimal() or not low <= int(text) <= high:
            raise SettingsError(f"{name}={text!r} is invalid; use a whole number from {low} to {high}")
        return int(text)

    def items(name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in environ.get(name, "").split(",") if item.strip())

    def pair(name: str, default: str) -> tuple[str, str]:
        first, _, second = environ.get(name, default).partition("/")
        if not first or not second or "/" in second:
            raise SettingsError(f"{name}={environ[name]!r} is invalid; use NAMESPACE/NAME")
        return first, second

    image = environ.get("METRICAT_AGENT_IMAGE", "")
    if not image:
        raise SettingsError("METRICAT_AGENT_IMAGE is not set; set it to the image of the agents, with registry and tag")
    return Settings(
        agent_image=image,
        agent_image_pull_policy=choice("METRICAT_AGENT_IMAGE_PULL_POLICY", "IfNotPresent", _PULL_POLICIES),
        agent_image_pull_secrets=items("METRICAT_AGENT_IMAGE_PULL_SECRETS"),
        namespaces=items("METRICAT_NAMESPACES"),
        lease=pair("METRICAT_LEASE", "default/metricat-operator"),
        pod_name=environ.get("METRICAT_POD_NAME") or socket.gethostname(),
        pod_uid=environ.get("METRICAT_POD_UID", ""),
        workers=number("METRICAT_WORKERS", 4, 1, 64),
        health_port=number("METRICAT_HEALTH_PORT", 8080, 1, 65535),
        prometheus_queries=choice("METRICAT_PROMETHEUS_QUERIES", "true", ("true", "false")) == "true",
        query_namespaces=items("METRICAT_PROMETHEUS_QUERY_NAMESPACES") or items("METRICAT_NAMESPACES"),
        namespace=environ.get("METRICAT_NAMESPACE", ""),
        metrics_port=number("METRICAT_METRICS_PORT", 8443, 1, 65535),
        log_format=choice("METRICAT_LOG_FORMAT", "json", ("json", "text")),
        log_level=choice("METRICAT_LOG_LEVEL", "INFO", _LOG_LEVELS),
    )
