"""`metricat hub`: run the hub alone, and manage its API keys."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.keys import ApiKeyError, KeyStore
from metricat_hub.access.principal import SCOPES
from metricat_hub.commands.running import add_data, add_settings, run_hub, settings_of
from metricat_hub.config.options import HUB
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    import argparse

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 -- argparse has no public name

_KEYS = "Create, list and revoke API keys. A running hub uses the changes within a second."


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("hub", help="run the hub, or manage its API keys", description=HUB.description)
    parser.set_defaults(run=run)
    add_settings(parser)
    inner = parser.add_subparsers(title="commands", metavar="[keys]", help="without a command: run the hub")
    keys = inner.add_parser("keys", help="manage API keys", description=_KEYS)
    actions = keys.add_subparsers(title="commands", metavar="COMMAND", required=True, help="action to run")
    create = actions.add_parser("create", help="create a key and print it", description="Create a key and print it.")
    create.add_argument("--label", default="unnamed", help="what the key is for (default %(default)s)")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what the key may do; repeat the option for several scopes (default read)",
    )
    create.add_argument("--expires", metavar="DURATION", help="time until the key expires, for example 90d")
    create.set_defaults(run=create_key)
    listing = actions.add_parser("list", help="list the keys", description="List the keys, without their secrets.")
    listing.set_defaults(run=list_keys)
    revoke = actions.add_parser("revoke", help="revoke a key", description="Revoke a key.")
    revoke.add_argument("id", metavar="ID", help="identifier of the key, as `list` prints it")
    revoke.set_defaults(run=revoke_key)
    for action in (create, listing, revoke):
        add_data(action)


def run(chosen: argparse.Namespace) -> str:
    """Run until a signal."""
    return run_hub(chosen, with_agent=False)


def create_key(chosen: argparse.Namespace) -> str:
    """Create a key and return it."""
    expires = None
    if chosen.expires:
        try:
            expires = _now() + parse_duration(chosen.expires)
        except ValueError as error:
            raise CommandError(f"--expires: {error}", 2) from None
    keys = _keys(chosen, create=True)
    try:
        return keys.create(chosen.label, chosen.scope or ["read"], expires)[0]
    except ApiKeyError as error:
        raise CommandError(str(error), 2) from None


def list_keys(chosen: argparse.Namespace) -> str:
    """Return a table of the keys."""
    rows: list[tuple[str, ...]] = [("ID", "LABEL", "SCOPES", "STATE", "CREATED", "EXPIRES", "LAST USED")]
    for key in _keys(chosen).all():
        scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
        times = map(_time, (key.created, key.expires, key.last_used))
        rows.append((key.id, key.label, scopes, key.state(_now()), *times))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def revoke_key(chosen: argparse.Namespace) -> str:
    """Revoke a key."""
    try:
        key = _keys(chosen).revoke(chosen.id)
    except ApiKeyError as error:
        raise CommandError(str(error)) from None
    return f"The key {key.id} ({key.label}) is revoked."


def _keys(chosen: argparse.Namespace, *, create: bool = False) -> KeyStore:
    folder = settings_of(chosen).data
    if create:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif not folder.is_dir():
        raise CommandError(f"{folder} does not exist, so no key exists. Give the hub's directory with --data.")
    try:
        return KeyStore(folder, _now)
    except ApiKeyError as error:
        raise CommandError(str(error)) from None


def _now() -> int:
    return time.time_ns() // 1_000_000


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "never"
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
