"""The types of a scrape configuration, with Prometheus' names and defaults. Pure. `config_file` parses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.sources.scrape.relabel import Rule

Protocol: TypeAlias = Literal[
    "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"
]
PROTOCOLS: dict[Protocol, str] = {
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0;escaping=allow-utf-8",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}
"""The media type of each scrape protocol, in the order of preference."""
DEFAULT_BODY_LIMIT = 16 * 1024 * 1024
"""Default limit of a scrape response in bytes. Unlike Prometheus, the hub has a default limit to protect its memory."""
DEFAULT_SAMPLE_LIMIT = 100_000
"""Default limit of samples in a scrape, to protect the memory of the hub."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """TLS settings of scrapes: how to verify a target, and the client certificate. Paths are absolute."""

    ca: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: str = ""
    max_version: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A secret value, or the file that contains it."""

    value: str = field(default="", repr=False)
    file: str = ""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """Name and password of HTTP basic authentication."""

    username: Credentials = Credentials()
    password: Credentials = Credentials()


@dataclass(frozen=True, slots=True)
class Authorization:
    """The header ``Authorization``: a type, such as Bearer, and credentials."""

    credentials: Credentials = Credentials()
    type: str = "Bearer"


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A group of target addresses with common labels."""

    targets: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()
    source: str = ""
    """The discovery file with the group; empty for a static group."""


@dataclass(frozen=True, slots=True)
class FileDiscovery:
    """Paths of discovery files with target groups. The last part of a path may contain `*`."""

    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a scrape. A scrape fails above a limit; 0: no limit."""

    body_size: int = DEFAULT_BODY_LIMIT
    samples: int = DEFAULT_SAMPLE_LIMIT
    labels: int = 0
    label_name_length: int = 0
    label_value_length: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of ``scrape_configs``. Durations are in milliseconds."""

    job_name: str
    scrape_interval: int = 60_000
    scrape_timeout: int = 10_000
    scheme: str = "http"
    metrics_path: str = "/metrics"
    params: tuple[tuple[str, tuple[str, ...]], ...] = ()
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    enable_compression: bool = True
    follow_redirects: bool = True
    protocols: tuple[Protocol, ...] = tuple(PROTOCOLS)
    fallback_protocol: Protocol | None = None
    tls: TlsConfig = TlsConfig()
    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    static_groups: tuple[TargetGroup, ...] = ()
    file_discoveries: tuple[FileDiscovery, ...] = ()
    relabel: tuple[Rule, ...] = ()
    metric_relabel: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    target_limit: int = 0
    scrape_at_start: bool = False
    """Whether the first scrape is immediate instead of at the target's offset in the interval. Not a setting."""


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """A scrape configuration: all jobs, with unique names."""

    jobs: Sequence[Job] = ()
