"""Name, default and help text of every setting. Pure data; `settings` reads and validates the values."""

from __future__ import annotations

from metricat_agent.config.loader import Option, Program
from metricat_hub import __version__
from metricat_hub.config.remote_options import BUFFER, OUTPUTS, STORE_SERVER
from metricat_hub.config.requests import LOGS, REQUESTS
from metricat_hub.config.store_url import FORMS
from metricat_hub.model.measures import BY_NAME, SHORT_NAMES

GENERAL = (
    Option("config.file", "", "YAML file with settings and scrape_configs; flags take precedence", "FILE"),
    Option("listen", "127.0.0.1:8428", "address to listen on", "[IP]:PORT"),
    Option("data", "", "data directory; default: metricat in XDG_DATA_HOME or ~/.local/share", "DIR"),
    Option("server.id", "", "name of this hub, and of the local agent's node; default: the host name", "NAME"),
    Option("log.level", "info", "lowest level to log to standard error", choices=("debug", "info", "warn", "error")),
    Option("log.format", "text", "format of log lines", choices=("text", "json")),
)
WEB = (
    Option("web.config.file", "", "TLS, client certificates and passwords, in Prometheus' web config format", "FILE"),
    Option(
        "insecure",
        "false",
        "allow listening beyond loopback without TLS; API keys are then sent unencrypted",
        switch=True,
    ),
    Option(
        "access.anonymous-loopback",
        "false",
        "accept requests without an API key from this machine; they have the scopes of an editor",
        switch=True,
    ),
    Option(
        "access.kubernetes",
        "false",
        "accept Bearer tokens of Kubernetes; a user may read the namespaces in which the user may get "
        "MonitoringTargets",
        switch=True,
    ),
    Option("web.external-url", "", "URL of the hub for browsers, for example of a proxy in front of it", "URL"),
    Option("access.first-key-file", "", "write the first API key into this file instead of printing it", "FILE"),
)
OIDC = (
    Option("oidc.issuer", "", "issuer URL of the OpenID Connect provider, for example https://id.example.com", "URL"),
    Option("oidc.client-id", "", "ID of the client that is registered with the provider", "ID"),
    Option("oidc.client-secret-file", "", "file with the client secret; empty: a public client", "FILE"),
    Option("oidc.scopes", "openid profile email", "scopes to request, separated by spaces", "SCOPES"),
    Option("oidc.role-claim", "groups", "claim of the ID token with the groups or roles of a user", "CLAIM"),
    Option(
        "oidc.roles",
        "",
        "role (viewer, editor or admin) for a value of the claim, as VALUE=ROLE; * means every user; separate several "
        "by commas, or repeat the flag",
        "VALUE=ROLE,...",
        many=True,
    ),
)
COLLECT = (
    Option("collect.interval", "10s", "time between two scrapes of a target without its own interval", "DURATION"),
    Option("agent.config.file", "", "settings file of the agent that `metricat up` runs", "FILE"),
)
STORE = (
    Option("store.url", "embedded:", f"store of the samples: {FORMS}", "URL", secret=True),
    Option("store.retention.raw", "7d", "how long to keep samples as received", "DURATION"),
    Option("store.retention.1m", "30d", "how long to keep one point a minute", "DURATION"),
    Option("store.retention.1h", "1y", "how long to keep one point an hour", "DURATION"),
    Option(
        "store.max-size",
        "20GB",
        "size limit of the stored samples; above it, the hub removes the oldest samples",
        "SIZE",
    ),
    Option(
        "store.max-series",
        "200000",
        "limit of active series; the hub rejects and counts samples of further series",
        "NUMBER",
    ),
    *STORE_SERVER,
    *BUFFER,
)
QUERY = (
    Option("query.timeout", "2m", "time limit of a query", "DURATION"),
    Option("query.max-concurrency", "4", "queries that run at the same time; others wait", "NUMBER"),
    Option(
        "query.max-samples",
        "auto",
        "limit of the samples that a query reads; auto: a quarter of the memory at 100 bytes each, 1 to 50 million",
        "NUMBER",
    ),
    Option(
        "query.max-memory",
        "auto",
        "memory limit of all running queries together; auto: a quarter of the memory, from 100MB to 5GB",
        "SIZE",
    ),
    Option("query.max-series", "100000", "limit of the series that a query reads", "NUMBER"),
)
RULES = (
    Option("rules.shipped", "true", "evaluate the shipped recording rules and alerts", switch=True),
    Option(
        "rules.files",
        "",
        "paths of rule files in Prometheus' format, separated by commas; a path may contain *",
        "FILE",
    ),
    Option("rules.interval", "30s", "time between two evaluations of a group without its own interval", "DURATION"),
    Option(
        "alert-history.retention",
        "1y",
        "how long the alert history keeps resolved alerts with their events",
        "DURATION",
    ),
    Option(
        "alert-history.alertmanager-url",
        "",
        "URL of the Alertmanager that sends webhooks to the alert history; the hub reads missed alerts from it at the "
        "start, and with a Prometheus as store also manages its silences",
        "URL",
        secret=True,
    ),
)
LIVE = (
    Option("live.max-connections", "256", "limit of live connections (WebSocket and gRPC together)", "NUMBER"),
    Option(
        "live.allowed-origins",
        "",
        "origins of web pages that may open a WebSocket, apart from the hub's own, for example https://example.org",
        "ORIGINS",
    ),
    Option("grpc.listen", "", "address of the gRPC server; default: no gRPC server", "[IP]:PORT"),
)
ALIASES = {"COLLECT_INTERVAL": "collect.interval", "SERVER_ID": "server.id", "DB_CONNECTION": "store.url"}
"""Environment variables without the prefix METRICAT_HUB_. A plain number in COLLECT_INTERVAL means seconds."""
SCRAPE_SECTIONS = ("global", "scrape_configs")
"""Keys of the settings file in Prometheus' format, which the scraper reads."""
ROUTING_SECTIONS = ("route", "inhibit_rules", "time_intervals", "mute_time_intervals", "escalation")
"""Keys of the settings file in Alertmanager's format, and `escalation`. `dispatch` reads them."""
MEASURE_NAMES = (*BY_NAME, *SHORT_NAMES)
"""The names of measures as keys of the settings file: full names, and names without the unit."""
SECTIONS = (
    *SCRAPE_SECTIONS,
    *ROUTING_SECTIONS,
    "outputs",
    "receivers",
    "rule_files",
    *(f"rules.{name}" for name in MEASURE_NAMES),
)
"""Keys of the settings file that are not settings but sections."""
_EPILOG = """Every setting can also be set in the file of --config.file, under the flag's name, or in an environment
variable: METRICAT_HUB_ and the name in capitals, with _ for . and -. The variables COLLECT_INTERVAL, SERVER_ID
and DB_CONNECTION set collect.interval, server.id and store.url. A flag takes precedence over the file, and the
file over the environment."""

HUB = Program(
    name="metricat hub",
    version=__version__,
    description="Run the hub: it scrapes targets, stores samples, and serves Prometheus' HTTP API and a REST API.",
    epilog=_EPILOG,
    groups=[
        ("", GENERAL),
        ("HTTP server and access", WEB),
        ("OpenID Connect", OIDC),
        ("collecting", COLLECT),
        ("store", STORE),
        ("outputs", OUTPUTS),
        ("queries", QUERY),
        ("requests", REQUESTS),
        ("access log and audit log", LOGS),
        ("rules and alerts", RULES),
        ("live values and gRPC", LIVE),
    ],
    prefix="METRICAT_HUB_",
    aliases=ALIASES,
    sections=SECTIONS,
)
