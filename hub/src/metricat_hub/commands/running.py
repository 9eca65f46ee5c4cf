"""Shared functions of `metricat up` and `metricat hub`: settings, start, messages and exit status."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError, add_flags
from metricat_cli.errors import CommandError
from metricat_hub.commands.first_key import first_access
from metricat_hub.config.options import HUB
from metricat_hub.config.settings import Settings, parse

if TYPE_CHECKING:
    from metricat_hub.app import Hub

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's <malloc.h>: the parameter for the largest number of heaps."""
_FILES = 65_536
_SINGLE_THREADED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags of all settings."""
    add_flags(parser, HUB)
    parser.epilog = HUB.epilog


def add_data(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the flags for the data directory to a subcommand, so that users can write them after the subcommand too."""
    for name in names or ("config.file", "data"):
        option = HUB.options[name]
        parser.add_argument(
            f"--{name}",
            dest=name,
            action="append",
            default=argparse.SUPPRESS,  # keep the value that is given before the subcommand
            metavar=option.metavar,
            help=option.what,
        )


def settings_of(chosen: argparse.Namespace) -> Settings:
    """Return the settings; raise `CommandError` with status 2 for an invalid one."""
    given = {name: value for name, value in vars(chosen).items() if name in HUB.options}
    try:
        return parse(given, os.environ)
    except SettingError as error:
        raise CommandError(str(error), 2) from None


def run_hub(chosen: argparse.Namespace, *, with_agent: bool) -> str:
    """Run the hub until a signal; return an empty text.

    Raises:
        CommandError: a setting is invalid (status 2), or the hub cannot start (status 1).
    """
    settings = settings_of(chosen)
    _limit_memory()
    _raise_file_limit()
    from metricat_agent.log_setup import configure  # noqa: PLC0415 -- as numpy
    from metricat_agent.web.access.authentication import Authenticator  # noqa: PLC0415 -- as numpy
    from metricat_hub.app import Hub  # noqa: PLC0415 -- as numpy
    from metricat_hub.model.errors import HubError  # noqa: PLC0415 -- as numpy

    configure(settings.log_level, settings.log_format, access=False)
    _configure_log(settings)
    try:
        authenticator = Authenticator.from_file(settings.web_config) if settings.web_config else None
        if authenticator and not authenticator.tls_enabled and not settings.is_loopback and not settings.insecure:
            raise CommandError(
                f"--web.config.file={settings.web_config}: tls_server_config is missing, but other machines can reach "
                f"{settings.listen}; add the section, or allow unencrypted access with --insecure",
                2,
            )
        with Hub(settings, authenticator) as hub:
            key = first_access(hub)
            asyncio.run(hub.run(with_agent=with_agent, ready=lambda: _announce(hub, key)))
    except SettingError as error:
        raise CommandError(str(error), 2) from None
    except HubError as error:
        raise CommandError(str(error)) from None
    return ""


def _limit_memory() -> None:
    """Use one heap for all threads, and no threads of numpy's linear algebra, which the hub does not use.

    This saves 4 MiB. It must happen before numpy is imported and before the first thread starts.
    """
    for name in _SINGLE_THREADED:
        os.environ.setdefault(name, "1")
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 -- for Linux only

        if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # missing in musl
            mallopt(_ARENA_MAX, 1)


def _raise_file_limit() -> None:
    """Allow as many open files as the system permits: 1,024, the usual soft limit, is fewer than all connections."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 -- missing on Windows

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
        if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _configure_log(settings: Settings) -> None:
    """Set the level of uvicorn, and log the warnings about settings."""
    import logging  # noqa: PLC0415 -- as numpy

    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for message in settings.warnings:
        logging.getLogger("metricat_hub").warning("%s", message)


def _announce(hub: Hub, key: list[str]) -> None:
    """Print the hub's URL, and the lines about the first key."""
    lines = [
        f"Metricat listens on {hub.settings.listen}: {hub.url}",
        f"  data:    {hub.settings.data}",
        f"  API:     {hub.url}/docs",
        *key,
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
