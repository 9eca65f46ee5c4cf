"""Every setting's name, default and help text. Pure data; `loader` reads the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.collectors.option import Option
from metricat_agent.config.loader import Program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.collectors import Collector


_EPILOG = """Every setting can also be given in the file of --config.file, under the flag's name, or in an environment
variable: METRICAT_ and the name in capitals, with _ for . and -. A flag takes precedence over the file, and the file
over the environment. NODE_NAME in the environment gives the node's name, which a container cannot read itself.
The agent replaces an argument @FILE by the lines of FILE, one argument per line."""
GENERAL = (
    Option("config.file", "", "YAML file with settings; flags take precedence", "FILE"),
    Option("path.procfs", "/proc", "directory of the host's /proc", "DIR"),
    Option("path.sysfs", "/sys", "directory of the host's /sys", "DIR"),
    Option("path.rootfs", "/", "directory of the host's /", "DIR"),
    Option("path.udev.data", "", "directory of udev's data; default: /run/udev/data of the host", "DIR"),
    Option(
        "web.listen-address",
        ":9100",
        "address to listen on; may be given more than once; empty: none",
        "[IP]:PORT",
        many=True,
    ),
    Option("web.telemetry-path", "/metrics", "URL path of the metrics", "PATH"),
    Option("web.config.file", "", "TLS, client certificates and passwords, in Prometheus' web config format", "FILE"),
    Option(
        "web.tls-secret",
        "",
        "directory of a mounted Secret with tls.crt and tls.key: enables TLS; cannot be combined with web.config.file",
        "DIR",
    ),
    Option(
        "web.client-ca-secret",
        "",
        "directory of a mounted Secret with ca.crt: only clients with a certificate of this CA get metrics",
        "DIR",
    ),
    Option(
        "web.basic-auth-secret",
        "",
        "directory of a mounted Secret with username and password: only clients that send both get metrics",
        "DIR",
    ),
    Option(
        "web.max-requests",
        "40",
        "maximum number of concurrent scrapes; further ones get status 503; 0: no limit",
        "NUMBER",
    ),
    Option("web.access-log", "false", "log every request", switch=True),
    Option("push.url", "", "push metrics to this URL of a Prometheus remote-write receiver, such as a hub", "URL"),
    Option("push.token-file", "", "file with the Bearer token of the receiver; read at each request", "FILE"),
    Option("push.username", "", "user name for the receiver; cannot be combined with push.token-file", "NAME"),
    Option("push.password-file", "", "file with the password for the receiver; read at each request", "FILE"),
    Option("push.tls-ca-file", "", "file with the CA certificates that sign the receiver's certificate", "FILE"),
    Option("push.interval", "15", "seconds between two pushes", "SECONDS"),
    Option(
        "push.labels",
        "",
        "label of every pushed series; may be given more than once. Default: job, service, namespace, node, pool and "
        "instance; an empty value removes one",
        "NAME=VALUE",
        many=True,
    ),
    Option("push.compression", "snappy", "compression of push requests", choices=("snappy", "gzip")),
    Option("push.buffer.path", "", "directory for samples that cannot be sent yet; default: only memory", "DIR"),
    Option(
        "push.buffer.bytes",
        "67108864",
        "maximum size of the buffer on disk; above it, the oldest samples are dropped",
        "BYTES",
    ),
    Option("push.buffer.age", "86400", "maximum age of buffered samples, in seconds", "SECONDS"),
    Option("log.level", "info", "lowest level to log to standard error", choices=("debug", "info", "warn", "error")),
    Option("log.format", "text", "format of log lines", choices=("text", "json")),
    Option(
        "agent.cpu-limit",
        "2",
        "CPU limit, in % of one core; above it, the agent pauses optional collectors",
        "PERCENT",
        former_names=("self.cpu-budget",),
    ),
    Option(
        "agent.detailed-metrics", "false", "expose all metrics about the collectors, for every collector", switch=True
    ),
    Option("collector.disable-defaults", "false", "disable all collectors that no setting enables", switch=True),
    Option(
        "collector.timeout",
        "1.5",
        "seconds after which a scrape returns without the collectors that have not finished",
        "SECONDS",
        former_names=("collector.deadline",),
    ),
    Option(
        "collector.series-limit",
        "5000",
        "maximum number of series of one collector; the agent drops further series. Collectors that the agent never "
        "pauses and collectors with series for each CPU have no limit",
        "NUMBER",
        former_names=("collector.series-budget",),
    ),
)


_FORMER_FILTERS = {
    "collector.diskstats.device-exclude": ("collector.diskstats.ignored-devices",),
    "collector.filesystem.fs-types-exclude": ("collector.filesystem.ignored-fs-types",),
    "collector.filesystem.mount-points-exclude": ("collector.filesystem.ignored-mount-points",),
    "collector.netdev.device-exclude": ("collector.netdev.device-blacklist",),
    "collector.netdev.device-include": ("collector.netdev.device-whitelist",),
}
"""Names that node_exporter 1.12.1 still accepts for its filters, but no longer documents."""


def collector_options(name: str, collector: type[Collector]) -> Iterator[Option]:
    """Yield the settings of one collector, its switch first."""
    yield Option(f"collector.{name}", str(collector.on_by_default).lower(), "enable this collector", switch=True)
    for option in collector.options:
        yield option.below(f"collector.{name}")
    for flags in collector.filter_flags:
        yield _filter(f"collector.{name}.{flags.exclude}", flags.default_exclude, f"exclude matching {flags.what}")
        if flags.include:
            what = f"include only matching {flags.what}; cannot be combined with {flags.exclude}"
            yield _filter(f"collector.{name}.{flags.include}", "", what)


def _filter(name: str, default: str, what: str) -> Option:
    return Option(name, default, what, "REGEX", former_names=_FORMER_FILTERS.get(name, ()))


def all_options(table: Mapping[str, type[Collector]]) -> Iterator[Option]:
    """Yield the agent's general settings, then those of the collectors in ``table``."""
    yield from GENERAL
    for name, collector in sorted(table.items()):
        yield from collector_options(name, collector)


def program(table: Mapping[str, type[Collector]]) -> Program:
    """Return the agent's settings, with a group for each collector."""
    collectors = [
        (f"collector {name}: {collector.summary}", tuple(collector_options(name, collector)))
        for name, collector in sorted(table.items())
    ]
    return Program(
        name="metricat-agent",
        version=__version__,
        description="Expose the metrics of one node to Prometheus, under node_exporter's names.",
        epilog=_EPILOG,
        groups=[("", GENERAL), *collectors],
    )
