"""The program `metricat-agent`: prints one scrape, or serves scrapes until a signal stops it."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import metricat_agent.lean_imports  # noqa: F401 -- first: the others import dataclasses
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
    from metricat_agent.push.pusher import Pusher
    from metricat_agent.scrape.registry import OwnMetrics

_LOG = logging.getLogger("metricat_agent")


def main() -> int:
    """Run the agent and return the exit status: 1 if it cannot listen or print, 2 if a setting is invalid."""
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
    if given.once:
        return _print(_registry(given, table).scrape().encode())
    heap = HeapTuner()
    pusher = _pusher(given, heap)
    registry = _registry(given, table, pusher)
    if not given.listen:
        return _push_only(given, registry, pusher)
    try:
        server = Server(
            Router(registry.page, given.telemetry_path, given.max_requests),
            given.listen,
            authenticator=authenticator,
            on_descriptor_exhaustion=given.host.fd_limit.reclaim,
            after_response=heap.after_response,
        )
    except ListenError as error:
        sys.stderr.write(f"metricat-agent: {error}\n")
        return 1
    _LOG.info("metricat-agent %s listens on %s", __version__, ", ".join(map(str, server.addresses)))
    _LOG.info("collectors: %s", ", ".join(registry.names))
    if pusher is not None:
        _start(pusher, registry, given)
    server.run_until_signal()
    if pusher is not None:
        pusher.stop()
    _LOG.info("stopped")
    return 0


def _pusher(given: Settings, heap: HeapTuner) -> Pusher | None:
    if given.push is None:
        return None
    from metricat_agent.push.pusher import Pusher  # noqa: PLC0415 -- costs memory that only a push needs

    return Pusher(given.push, heap.after_response)


def _start(pusher: Pusher, registry: Registry, given: Settings) -> None:
    pusher.start(lambda: registry.page().plain)
    if given.push is not None:
        _LOG.info("metricat-agent pushes metrics every %g seconds to %s", given.push.interval, given.push.shown_url)


def _push_only(given: Settings, registry: Registry, pusher: Pusher | None) -> int:
    """Push until a signal, without a web server."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    _LOG.info("metricat-agent %s does not listen, because web.listen-address is empty", __version__)
    _LOG.info("collectors: %s", ", ".join(registry.names))
    if pusher is not None:
        _start(pusher, registry, given)
    # On Windows, a signal does not interrupt a wait.
    while not stopping.wait(1.0 if sys.platform == "win32" else None):
        pass
    if pusher is not None:
        pusher.stop()
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


def _registry(given: Settings, table: Mapping[str, type[Collector]], own: OwnMetrics | None = None) -> Registry:
    return Registry(
        (table[name](given.host, chosen.filters, chosen.options) for name, chosen in given.collectors.items()),
        limits=ExecutorLimits(timeout=given.collector_timeout),
        series_limit=given.series_limit,
        cpu_limits=CpuLimits(limit=given.cpu_limit),
        detailed=given.detailed_metrics,
        uevents=UeventCount(given.host.sysfs).read,
        own=own,
    )


if __name__ == "__main__":
    sys.exit(main())
