"""What the agent may be told: every setting's name, default and meaning. Pure data; `sources` finds the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors.option import Option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.collectors import Collector


GENERAL = (
    Option("config.file", "", "a YAML file with settings that no flag gives", "FILE"),
    Option("path.procfs", "/proc", "where the host's /proc is", "DIR"),
    Option("path.sysfs", "/sys", "where the host's /sys is", "DIR"),
    Option("path.rootfs", "/", "where the host's / is", "DIR"),
    Option("path.udev.data", "", "where udev keeps its data; by default /run/udev/data of the host", "DIR"),
    Option("web.listen-address", ":9100", "where to listen; may be given more than once", "[IP]:PORT", many=True),
    Option("web.telemetry-path", "/metrics", "where the metrics are", "PATH"),
    Option("web.config.file", "", "TLS, client certificates and passwords, in Prometheus' own format", "FILE"),
    Option("web.tls-secret", "", "a mounted Secret with tls.crt and tls.key: TLS; not beside web.config.file", "DIR"),
    Option("web.client-ca-secret", "", "one with ca.crt: only clients whose certificate it signed see pages", "DIR"),
    Option("web.basic-auth-secret", "", "one with username and password: only who gives them sees pages", "DIR"),
    Option("web.max-requests", "40", "scrapes that may wait at the same time, above it 503; 0: any number", "NUMBER"),
    Option("web.access-log", "false", "log every request", switch=True),
    Option("log.level", "info", "what to log on standard error", choices=("debug", "info", "warn", "error")),
    Option("log.format", "text", "how to log it", choices=("text", "json")),
    Option("self.cpu-budget", "2", "per cent of one core that the agent may use before it sheds collectors", "PERCENT"),
    Option("collector.disable-defaults", "false", "switch off all collectors that no setting names", switch=True),
    Option("collector.deadline", "1.5", "seconds until a scrape is answered without those that hang", "SECONDS"),
    Option("collector.series-budget", "5000", "series of one collector; what is above is dropped", "NUMBER"),
)


def of_collector(name: str, collector: type[Collector]) -> Iterator[Option]:
    """Give the settings of one collector, its switch first."""
    yield Option(f"collector.{name}", str(collector.on_by_default).lower(), "switch it on or off", switch=True)
    for option in collector.options:
        yield option.below(f"collector.{name}")
    for flags in collector.filter_flags:
        yield Option(
            f"collector.{name}.{flags.exclude}", flags.default_exclude, f"leave out these {flags.what}", "REGEX"
        )
        if flags.include:
            what = f"take these {flags.what} only; not together with {flags.exclude}"
            yield Option(f"collector.{name}.{flags.include}", "", what, "REGEX")


def every(table: Mapping[str, type[Collector]]) -> Iterator[Option]:
    """Give all settings that there are."""
    yield from GENERAL
    for name, collector in sorted(table.items()):
        yield from of_collector(name, collector)
