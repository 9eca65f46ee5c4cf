"""`metricat hub users`: add, list, change and remove users, while the hub runs or not."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_cli.errors import CommandError
from metricat_hub.access.users import ROLES
from metricat_hub.commands.accounts import changing, opened, table, time_text
from metricat_hub.commands.running import add_data

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from metricat_hub.commands.accounts import Subparsers

_DESCRIPTION = "Add, list, change and remove users. A running hub uses the changes within a second."


def add_parser(commands: Subparsers) -> None:
    """Add the command's parser."""
    users = commands.add_parser("users", help="manage users", description=_DESCRIPTION)
    actions = users.add_subparsers(title="commands", metavar="COMMAND", required=True, help="action to run")
    add = _action(actions, "add", add_user, "add a user")
    _role(
        add,
        "--role",
        default="viewer",
        help="viewer may read, editor may also write, admin may also manage users and keys",
    )
    _password_file(add)
    listing = actions.add_parser("list", help="list the users", description="List the users.")
    listing.set_defaults(run=list_users)
    _action(actions, "remove", remove_user, "remove a user, end the user's sessions, and revoke the user's keys")
    _password_file(
        _action(actions, "password", set_password, "set the password of a user, and end the user's sessions")
    )
    _role(_action(actions, "role", set_role, "set the role of a user"), "role")
    _action(actions, "disable", disable_user, "disable a user, end the user's sessions, and suspend the user's keys")
    _action(actions, "enable", enable_user, "enable a disabled user")
    rotate = actions.add_parser(
        "rotate-signing-key",
        help="sign access tokens with a new key",
        description="Sign access tokens with a new key. Earlier tokens stay valid until they expire.",
    )
    rotate.set_defaults(run=rotate_key)
    for action in (listing, rotate):
        add_data(action)


def _action(
    actions: Subparsers, name: str, run: Callable[[argparse.Namespace], str], summary: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    parser.add_argument("name", metavar="NAME", help="name of the user")
    parser.set_defaults(run=run)
    add_data(parser)
    return parser


def _role(
    parser: argparse.ArgumentParser,
    flag: str,
    default: str | None = None,
    help: str = "role of the user",  # noqa: A002 -- as argparse
) -> None:
    parser.add_argument(flag, choices=ROLES, default=default, help=help + (" (default %(default)s)" if default else ""))


def _password_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        default="",
        help="read the password from the first line of a file, - for standard input (default: prompt for it)",
    )


def add_user(chosen: argparse.Namespace) -> str:
    """Add a user."""
    with changing(chosen, "user.create", chosen.name, create=True, role=chosen.role) as change:
        user = change.accounts.users.add(chosen.name, chosen.role, _password(chosen.password_file))
    return f"Added the user {user.name} with the role {user.role}."


def list_users(chosen: argparse.Namespace) -> str:
    """Return a table of the users."""
    rows = [("NAME", "ROLE", "STATE", "LOGIN", "CREATED")]
    with opened(chosen) as accounts:
        for user in accounts.users.all():
            state = "active" if user.disabled is None else "disabled"
            rows.append((user.name, user.role, state, "OIDC" if user.external else "password", time_text(user.created)))
    return table(rows)


def remove_user(chosen: argparse.Namespace) -> str:
    """Remove a user."""
    with changing(chosen, "user.delete", chosen.name) as change:
        user = change.accounts.users.remove(chosen.name)
    return f"Removed the user {user.name}, ended the user's sessions, and revoked the user's keys."


def set_password(chosen: argparse.Namespace) -> str:
    """Set the password of a user."""
    with changing(chosen, "user.password", chosen.name) as change:
        change.accounts.users.get(chosen.name)
        user = change.accounts.users.set_password(chosen.name, _password(chosen.password_file))
    return f"Set the password of {user.name}, and ended the user's sessions."


def set_role(chosen: argparse.Namespace) -> str:
    """Set the role of a user."""
    with changing(chosen, "user.update", chosen.name, role=chosen.role) as change:
        user = change.accounts.users.change(chosen.name, role=chosen.role)
    return f"The user {user.name} now has the role {user.role}."


def disable_user(chosen: argparse.Namespace) -> str:
    """Disable a user."""
    with changing(chosen, "user.update", chosen.name, disabled=True) as change:
        user = change.accounts.users.change(chosen.name, disabled=True)
    return f"Disabled the user {user.name}, and ended the user's sessions."


def enable_user(chosen: argparse.Namespace) -> str:
    """Enable a user."""
    with changing(chosen, "user.update", chosen.name, disabled=False) as change:
        user = change.accounts.users.change(chosen.name, disabled=False)
    return f"Enabled the user {user.name}."


def rotate_key(chosen: argparse.Namespace) -> str:
    """Replace the key that signs access tokens."""
    with changing(chosen, "signing-key.rotate") as change:
        key = change.accounts.signer.rotate()
        change.target = key.id
    return f"The hub now signs access tokens with the new key {key.id}."


def _password(file: str) -> str:
    """Return a password from a file, standard input or a prompt."""
    if file and file != "-":
        try:
            with Path(file).open(encoding="utf-8") as text:
                return text.readline().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                f"--password-file={file}: {error}. Set the path of a text file with the password.", 2
            ) from None
    if file == "-" or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password, again = getpass.getpass("Password: "), getpass.getpass("Password again: ")
    if again != password:  # nosemgrep: secret-compared-with-operator -- one user typed both
        raise CommandError("the two passwords differ. Run the command again.")
    return password
