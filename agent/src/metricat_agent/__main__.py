"""The program ``metricat-agent``: prints one scrape, or serves scrapes until a signal stops it."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.collectors.catalog import collectors_for
from metricat_agent.config import flags, settings
from metricat_agent.config.loader import unknown_variables
from metricat_agent.config.node_exporter_flags import translate
from metricat_agent.heap import HeapTuner
from metricat_agent.host.uevents import UeventCount
from metricat_agent.log_setup import configure
from metricat_agent.scrape.cpu_limiter import CpuLimits
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry
from metricat_agent.web.access.authentication import Authenticator
from metricat_agent.web.listener import ListenError
from metricat_agent.web.routes import Router
from metricat_agent.web.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.collectors import Collector
    from metricat_agent.config.settings import Settings

_LOG = logging.getLogger("metricat_agent")


def main() -> int:
    """Run; return the exit status: 1 if the agent cannot listen or print, 2 if a setting cannot be used."""
    table = collectors_for(sys.platform)
    try:
        arguments, notes = translate(sys.argv[1:])
        given = settings.parse(arguments, os.environ, table)
        configure(given.log_level, given.log_format, access=given.access_log)
        authenticator = _authenticator(given)
    except settings.SettingError as error:
        sys.stderr.write(f"metricat-agent: {error}\n")
        return 2
    for note in (*notes, *given.deprecations, *given.warnings):
        _LOG.warning("%s", note)
    for variable, near in unknown_variables(os.environ, flags.program(table)).items():
        hint = f"did you mean {near}? " if near else ""
        _LOG.warning("environment variable %s is not a setting; %s--help lists all settings", variable, hint)
    registry = _registry(given, table)
    if given.once:
        return _print(registry.scrape().encode())
    try:
        server = Server(
            Router(registry.page, given.telemetry_path, given.max_requests),
            given.listen,
            authenticator=authenticator,
            on_descriptor_exhaustion=given.host.fd_limit.reclaim,
            after_response=HeapTuner().after_response,
        )
    except ListenError as error:
        sys.stderr.write(f"metricat-agent: {error}\n")
        return 1
    _LOG.info("metricat-agent %s listens on %s", __version__, ", ".join(map(str, server.addresses)))
    _LOG.info("collectors: %s", ", ".join(registry.names))
    server.run_until_signal()
    _LOG.info("stopped")
    return 0


def _print(page: bytes) -> int:
    try:
        with open(sys.stdout.fileno(), "wb", closefd=False) as out:
            out.write(page)
    except BrokenPipeError:  # the reader closed its end
        return 0
    except (OSError, AttributeError) as error:  # sys.stdout is None if it was closed
        why = getattr(error, "strerror", None) or "it is closed"
        sys.stderr.write(f"metricat-agent: standard output: {why}; redirect it to a writable file or pipe\n")
        return 1
    return 0


def _authenticator(given: Settings) -> Authenticator | None:
    if given.web_config:
        return Authenticator.from_file(given.web_config)
    return Authenticator.from_secrets(given.web_secrets) if given.web_secrets else None


def _registry(given: Settings, table: Mapping[str, type[Collector]]) -> Registry:
    return Registry(
        (table[name](given.host, chosen.filters, chosen.options) for name, chosen in given.collectors.items()),
        limits=ExecutorLimits(timeout=given.collector_timeout),
        series_limit=given.series_limit,
        cpu_limits=CpuLimits(limit=given.cpu_limit),
        detailed=given.detailed_metrics,
        uevents=UeventCount(given.host.sysfs).read,
    )


if __name__ == "__main__":
    sys.exit(main())
