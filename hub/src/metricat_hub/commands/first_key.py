"""The first API key. The hub prints it, or writes it to a file, for example if a journal stores standard output."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.users import SETUP_MINUTES

if TYPE_CHECKING:
    from metricat_hub.app import Hub


def first_access(hub: Hub) -> list[str]:
    """Return the lines to print about the first access: an API key, or how to create the first administrator.

    A hub that other machines can reach prints no API key, because the key would not expire and logs would store it. It
    prints a setup token instead, which works once, for an hour. If a file for the key is set, the lines contain no
    secret, because the key in the file can create an administrator.

    Raises:
        CommandError: the hub cannot write the file for the key. It has not created a key then.
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
        CommandError: the hub cannot write the file for the key. It has not created a key then.
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
        raise CommandError(
            f"--access.first-key-file={path}: {why}. Set the path of a file that the hub can write."
        ) from None
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 -- a descriptor
        os.chmod(path, 0o600)  # noqa: PTH101 -- the file may have existed
        file.write(f"{hub.first_key()}\n")
        file.flush()
        os.fsync(file.fileno())
    return [f"  API key: in {path}. Store the key elsewhere, then remove the file."]
