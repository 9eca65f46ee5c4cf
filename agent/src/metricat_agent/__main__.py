"""The program ``metricat-agent``: settings, then one scrape on standard output or a server until it is told to stop."""

from __future__ import annotations

import logging
import os
import sys

from metricat_agent import __version__, settings
from metricat_agent.registry import COLLECTORS, Registry
from metricat_agent.server import ListenError, Server

_LOG = logging.getLogger("metricat_agent")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


def main() -> int:
    """Run; return 0 when told to stop, 1 if it cannot listen, 2 if a setting cannot be used."""
    try:
        given = settings.parse(sys.argv[1:], os.environ, COLLECTORS)
    except settings.SettingError as error:
        sys.stderr.write(f"metricat-agent: {error}\n")
        return 2
    logging.basicConfig(
        level=_LEVELS[given.log_level], stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    registry = Registry(COLLECTORS[name](given.host, filters) for name, filters in given.collectors.items())
    if given.once:
        sys.stdout.write(registry.scrape())
        return 0
    try:
        server = Server(registry.scrape, given.listen, given.telemetry_path)
    except ListenError as error:
        sys.stderr.write(f"metricat-agent: {error}\n")
        return 1
    _LOG.info("metricat-agent %s listens on %s", __version__, ", ".join(map(str, server.addresses)))
    _LOG.info("collectors: %s", ", ".join(registry.names))
    server.run_until_signal()
    _LOG.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
