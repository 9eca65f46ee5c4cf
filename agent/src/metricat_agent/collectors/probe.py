"""Results of the black-box probes of `metricat_agent.probes`, under blackbox_exporter's names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.exposition.model import Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from metricat_agent.exposition.model import Family
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.runner import Record, Runner
    from metricat_agent.probes.target import Target

_BY = ("probe", "target")
SUCCESS = gauge("probe_success", "Whether the last probe succeeded: 1 if so, 0 if not.", *_BY)
DURATION = gauge("probe_duration_seconds", "Duration of the last probe, in seconds.", *_BY)
LOOKUP = gauge("probe_dns_lookup_time_seconds", "Time to resolve the name of the host, in seconds.", *_BY)
IP_PROTOCOL = gauge("probe_ip_protocol", "Version of IP that the last probe used: 4 or 6.", *_BY)
STATUS = gauge("probe_http_status_code", "Status code of the last response; 0 without a response.", *_BY)
PHASES = gauge("probe_http_duration_seconds", "Duration of each phase of an HTTP probe, in seconds.", *_BY, "phase")
REDIRECTS = gauge("probe_http_redirects", "Number of redirects that the last probe followed.", *_BY)
SSL = gauge("probe_http_ssl", "Whether the last response came over TLS: 1 if so, 0 if not.", *_BY)
HTTP_VERSION = gauge("probe_http_version", "Version of HTTP of the last response.", *_BY)
LENGTH = gauge("probe_http_content_length", "Declared length of the body, in bytes; -1 if not declared.", *_BY)
MISMATCH = gauge("probe_failed_due_to_regex", "Whether the body did not match the pattern: 1 if so, 0 if not.", *_BY)
EXPIRY = gauge(
    "probe_ssl_earliest_cert_expiry",
    "When the first of the server's certificates expires, in seconds since 1970 (UTC).",
    *_BY,
)
TLS_VERSION = gauge("probe_tls_version_info", "Version of TLS of the last probe, as a label.", *_BY, "version")
DNS_PHASES = gauge("probe_dns_duration_seconds", "Duration of each phase of a DNS probe, in seconds.", *_BY, "phase")
DNS_ANSWERS = gauge("probe_dns_answer_rrs", "Records in the answer section of the last response.", *_BY)
ICMP_PHASES = gauge("probe_icmp_duration_seconds", "Duration of each phase of an ICMP echo, in seconds.", *_BY, "phase")
ATTEMPTS = counter("metricat_probe_attempts_total", "Probes that have ended.", *_BY)
FAILURES = counter("metricat_probe_failures_total", "Probes that failed, by reason.", *_BY, "reason")

_PHASE_FAMILIES = {"http": PHASES, "https": PHASES, "dns": DNS_PHASES, "icmp": ICMP_PHASES}


def _by_result() -> tuple[tuple[Family, Callable[[Result], float | None]], ...]:
    return (
        (SUCCESS, lambda result: float(result.success)),
        (DURATION, lambda result: result.duration),
        (LOOKUP, lambda result: result.phases.get("resolve")),
        (IP_PROTOCOL, lambda result: result.ip_version),
        (STATUS, lambda result: result.status),
        (REDIRECTS, lambda result: result.redirects),
        (SSL, lambda result: result.ended_with_tls),
        (HTTP_VERSION, lambda result: result.http_version),
        (LENGTH, lambda result: result.content_length),
        (MISMATCH, lambda result: None if result.matched is None else not result.matched),
        (EXPIRY, lambda result: result.certificate_expiry),
        (DNS_ANSWERS, lambda result: result.answers),
    )


_BY_RESULT = _by_result()
"""Families with one series for each target, and their value. None: the last probe has no value."""


def parse(records: Iterable[tuple[Target, Result | None, int, Mapping[str, int]]]) -> Metrics:
    """Return the metrics of targets: each with its last result, its number of probes and its failures by reason."""
    found: dict[Family, list[Sample]] = {}
    for target, result, attempts, failures in records:
        key = (target.name, target.url)
        if result is not None:
            _add_result(found, target, key, result)
        found.setdefault(ATTEMPTS, []).append((key, attempts))
        found.setdefault(FAILURES, []).extend(((*key, reason), number) for reason, number in failures.items())
    return list(found.items())


def _add_result(found: dict[Family, list[Sample]], target: Target, key: tuple[str, str], result: Result) -> None:
    for family, value_of in _BY_RESULT:
        value = value_of(result)
        if value is not None:
            found.setdefault(family, []).append((key, float(value)))
    if target.scheme.startswith("http") and result.status is None:
        found.setdefault(STATUS, []).append((key, 0.0))
    if by_phase := _PHASE_FAMILIES.get(target.scheme):
        samples = [((*key, phase), seconds) for phase, seconds in result.phases.items()]
        found.setdefault(by_phase, []).extend(samples)
    if result.tls_version:
        found.setdefault(TLS_VERSION, []).append(((*key, result.tls_version.replace("v", " ")), 1.0))


def _parse_lines(text: str) -> tuple[Target, ...]:
    if not text:
        return ()
    from metricat_agent.probes.target import parse_lines  # noqa: PLC0415 -- most agents have no target

    return parse_lines(text)


def _parse_document(text: str) -> tuple[Target, ...]:
    if not text:
        return ()
    from metricat_agent.probes.target import parse_document  # noqa: PLC0415 -- as above

    return parse_document(text)


TARGET = CollectorOption(
    *("target", "", "endpoint to probe: a URL, or a JSON object with a URL and settings; may be repeated", "URL"),
    many=True,
    parse=_parse_lines,
)
CONFIG = CollectorOption(
    *("config", "", "YAML file with endpoints to probe, as a list below the key targets", "FILE"),
    file=True,
    parse=_parse_document,
)


class Probe(Collector):
    """Whether endpoints respond, how fast, and until when their certificates are valid."""

    name = "probe"
    summary = "whether endpoints respond to probes by HTTP, TCP, TLS, DNS and ICMP"
    families = (
        *(family for family, _ in _BY_RESULT),
        *(PHASES, DNS_PHASES, ICMP_PHASES, TLS_VERSION, ATTEMPTS, FAILURES),
    )
    options = (TARGET, CONFIG)

    def setup(self) -> None:
        """Start no probe: the first scrape starts the probes."""
        self._runner: Runner | None = None
        self._ended_seconds = 0.0
        self._targets = (*self.option(CONFIG), *self.option(TARGET))

    @classmethod
    def check_options(cls, options: Mapping[str, object]) -> None:
        """Raise ValueError if the file and the flags give two targets the same name."""
        names = [
            target.name for option in (CONFIG, TARGET) for target in cast("Sequence[Target]", options[option.name])
        ]
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"the file and the flags both have a target {twice}; remove one of them")

    def background_seconds(self) -> float:
        """Return the CPU time of the probes so far, in seconds."""
        return self._ended_seconds + (self._runner.cpu_seconds if self._runner else 0.0)

    def collect(self) -> Metrics:
        """Return the last results, which threads keep up to date."""
        if not self._targets:
            return []
        if self._runner is None:
            from metricat_agent.probes.runner import Runner  # noqa: PLC0415 -- as above

            self._runner = Runner(self._targets)
        now = time.monotonic()
        return parse([_row(record, now) for record in self._runner.records])

    def suspend(self) -> None:
        """End the threads; the next scrape that runs this collector starts new ones."""
        if self._runner is not None:
            self._runner.stop()
            self._ended_seconds += self._runner.cpu_seconds
            self._runner = None


def _row(record: Record, now: float) -> tuple[Target, Result | None, int, Mapping[str, int]]:
    return record.target, record.current(now), record.attempts, dict(record.failures)
