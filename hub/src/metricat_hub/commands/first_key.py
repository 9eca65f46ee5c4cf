"""The first API key: printed, or written into a file where standard output is kept, as a journal keeps it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.users import SETUP_MINUTES

if TYPE_CHECKING:
    from metricat_hub.app import Hub


def first_access(hub: Hub) -> list[str]:
    """Return the lines to print about the first access: a key, and beyond loopback the setup of an administrator.

    A key that does not expire must not get into logs of a hub that other machines reach. The token of the setup works
    once and for an hour. With a file for the key, nothing secret is printed: the key in it can create an administrator.

    Raises:
        CommandError: the file of the key cannot be written. No key exists then.
    """
    settings = hub.settings
    if settings.is_loopback or settings.kubernetes or settings.first_key_file:
        return _first_key(hub)
    lines: list[str] = []
    if token := hub.accounts.users.start_setup():
        body = f'{{"token":"{token}","name":"admin","password":"PASSWORD"}}'
        url = settings.external_url or hub.url
        lines += [
            f"  Setup:   no administrator exists. Within {SETUP_MINUTES} minutes, create one with:",
            f"           curl -H 'Content-Type: application/json' -d '{body}' {url}/api/v1/setup",
            "           or on this machine: metricat hub users add NAME --role admin",
        ]
    return lines


def _first_key(hub: Hub) -> list[str]:
    """Create the first key if no key exists; return the lines to print about it.

    Users of Kubernetes need no key, and each replica would have its own.

    Raises:
        CommandError: the file of the key cannot be written. No key exists then.
    """
    path = hub.settings.first_key_file
    if hub.settings.kubernetes or hub.accounts.keys.all():
        return []
    if not path:
        key = hub.first_key()
        return [
            f"  Page:    {hub.url}/#key={key}",
            f"  API key: {key}",
            "           The hub shows this key only once. Create more keys with: metricat hub keys create",
            f"  Try:     curl -H 'Authorization: Bearer {key}' {hub.url}/api/metrics/cpu",
        ]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise CommandError(f"--access.first-key-file={path}: {why}. Give a file that the hub can write.") from None
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 -- a descriptor
        os.chmod(path, 0o600)  # noqa: PTH101 -- the file may have existed
        file.write(f"{hub.first_key()}\n")
        file.flush()
        os.fsync(file.fileno())
    return [f"  API key: in {path}. Remove the file when you have stored the key."]
