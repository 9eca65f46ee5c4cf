"""`metricat hub keys`: create, list and revoke API keys, while the hub runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.principal import SCOPES
from metricat_hub.commands.accounts import changing, now, opened, table, time_text
from metricat_hub.commands.running import add_data
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    import argparse

    from metricat_hub.commands.accounts import Subparsers

_DESCRIPTION = "Create, list and revoke API keys. A running hub uses the changes within a second."


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    keys = commands.add_parser("keys", help="manage API keys", description=_DESCRIPTION)
    actions = keys.add_subparsers(title="commands", metavar="COMMAND", required=True, help="action to run")
    create = actions.add_parser("create", help="create a key and print it", description="Create a key and print it.")
    create.add_argument("--label", default="unnamed", help="purpose of the key, as a label (default %(default)s)")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="scope of the key; repeat the option for several scopes (default read)",
    )
    create.add_argument("--expires", metavar="DURATION", help="time until the key expires, for example 90d")
    create.add_argument(
        "--owner",
        metavar="USER",
        default="",
        help="user who owns the key; the user's role limits it, and removing the user revokes it",
    )
    create.set_defaults(run=create_key)
    listing = actions.add_parser("list", help="list the keys", description="List the keys, without their secrets.")
    listing.set_defaults(run=list_keys)
    revoke = actions.add_parser("revoke", help="revoke a key", description="Revoke a key.")
    revoke.add_argument("id", metavar="ID", help="identifier of the key, as `list` prints it")
    revoke.set_defaults(run=revoke_key)
    for action in (create, listing, revoke):
        add_data(action)


def create_key(chosen: argparse.Namespace) -> str:
    """Create an API key and return its text."""
    expires = None
    if chosen.expires:
        try:
            expires = now() + parse_duration(chosen.expires)
        except ValueError as error:
            raise CommandError(f"--expires: {error}", 2) from None
    scopes = chosen.scope or ["read"]
    details = {"scopes": " ".join(sorted(scopes)), "label": chosen.label, "owner": chosen.owner}
    with changing(chosen, "key.create", create=True, **details) as change:
        owner = change.accounts.users.get(chosen.owner).id if chosen.owner else ""
        secret, key = change.accounts.keys.create(chosen.label, scopes, expires, owner)
        change.target = key.id
    return secret


def list_keys(chosen: argparse.Namespace) -> str:
    """Return a table of the API keys."""
    rows: list[tuple[str, ...]] = [("ID", "LABEL", "SCOPES", "STATE", "OWNER", "CREATED", "EXPIRES", "LAST USED")]
    with opened(chosen) as accounts:
        names = {user.id: user.name for user in accounts.users.all()}
        for key in accounts.keys.all():
            scopes = ",".join(scope for scope in SCOPES if scope in key.scopes)
            times = map(time_text, (key.created, key.expires, key.last_used))
            rows.append((key.id, key.label, scopes, key.state(now()), names.get(key.owner, "-"), *times))
    return table(rows)


def revoke_key(chosen: argparse.Namespace) -> str:
    """Revoke an API key."""
    with changing(chosen, "key.revoke", chosen.id) as change:
        key = change.accounts.keys.revoke(chosen.id)
    return f"The key {key.id} ({key.label}) is revoked."
