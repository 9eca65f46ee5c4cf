"""Users: add, list, change and remove. All methods block."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from metricat_hub.access.accounts import AccountError, ConflictError, NotFoundError, StaleVersionError, User
from metricat_hub.access.passwords import check_new, hash_password
from metricat_hub.access.principal import SCOPES_OF, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.access.directory import Directory

ROLES: tuple[Role, ...] = tuple(SCOPES_OF)
SETUP_MINUTES = 60
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@+-]{0,62}[A-Za-z0-9])?", re.ASCII)


class SetupError(AccountError):
    """The setup token is wrong, was used, or has expired."""


class UserStore:
    """The users. Thread-safe."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._database = directory.database

    def all(self) -> Sequence[User]:
        """Return all users, sorted by name."""
        self._directory.refresh()
        return sorted(self._directory.users.values(), key=lambda user: user.name.casefold())

    def get(self, name: str) -> User:
        """Return the user with this name; raise `NotFoundError` if no such user exists."""
        self._directory.refresh()
        if found := self._directory.user(name):
            return found
        raise NotFoundError(f"no user has the name {name[:100]!r}; list the users with: metricat hub users list")

    def add(self, name: str, role: Role, password: str = "", external: str = "") -> User:
        """Add a user with a password, or with an account at an external identity provider (`external`).

        Raises:
            AccountError: the name or the password is invalid.
            ConflictError: a user has this name.
        """
        user = self._new(name, role, external)
        if not external:
            check_new(password, name)
        self._database.add_user(user, hash_password(password) if password else "")
        self._directory.read()
        return user

    def remove(self, name: str) -> User:
        """Remove a user and its sessions, and revoke its keys.

        Raises:
            NotFoundError: no user has this name.
            ConflictError: the user is the last active administrator.
        """
        user = self.get(name)
        self._database.remove_user(user.id, self._directory.now())
        self._directory.read()
        return user

    def set_password(self, name: str, password: str) -> User:
        """Set the password of a user, and end the user's sessions."""
        return self.change(name, password=password)

    def change(
        self,
        name: str,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
        password: str | None = None,
        version: int | None = None,
    ) -> User:
        """Change the values that are not None; return the changed user.

        All sessions of the user end if the user is disabled or gets another password.

        Raises:
            NotFoundError: no user has this name.
            AccountError: the password is too weak.
            StaleVersionError: the stored user has another version than `version`.
            ConflictError: no active administrator would be left, or the user logs in at an identity provider.
        """
        user = self.get(name)
        hashed = None
        if password is not None:
            if user.external:
                raise ConflictError(f"{user.name} logs in at the identity provider; change the password there")
            check_new(password, user.name)
            hashed = hash_password(password)
        changed = self._database.change_user(user.id, self._change(role, disabled, version), hashed)
        self._directory.read()
        return changed

    def sign_in(self, external: str, name: str, role: Role) -> User:
        """Return the user of an external account with its current role; add the user at the first login.

        Raises:
            ConflictError: another user has the name. An equal name alone never gives access to an existing user.
        """
        found = next((user for user in self._directory.users.values() if user.external == external), None)
        if found is None:
            return self.add(name, role, external=external)
        return found if found.role == role else self.change(found.name, role=role)

    def start_setup(self) -> str:
        """Return a new setup token, which can create the first administrator; empty if an administrator exists."""
        if any(user.is_active_admin for user in self.all()):
            return ""
        token = secrets.token_urlsafe(24)
        self._database.set_setup(_digest(token), self._directory.now() + SETUP_MINUTES * 60_000)
        return token

    def complete_setup(self, token: str, name: str, password: str) -> User:
        """Create the first administrator.

        Raises:
            SetupError: the token is wrong, was used, or has expired.
            AccountError: the name or the password is invalid, or an administrator exists.
        """
        user = self._new(name, "admin", "")
        check_new(password, name)
        hashed = hash_password(password)
        if not self._database.complete_setup(_digest(token), user.created, user, hashed):
            raise SetupError(
                "the setup token is wrong, was used, or has expired; restart the hub to get a new one, "
                "or run: metricat hub users add NAME --role admin"
            )
        self._directory.read()
        return user

    def _new(self, name: str, role: Role, external: str) -> User:
        if not _NAME.fullmatch(name):
            raise AccountError(
                f"invalid user name {name[:100]!r}; use 1 to 64 letters, digits and ._@+-, for example ada"
            )
        return User(secrets.token_hex(8), name, role, self._directory.now(), external=external)

    def _change(self, role: Role | None, disabled: bool | None, version: int | None) -> Callable[[User], User]:  # noqa: FBT001 -- as in `change`
        def change(user: User) -> User:
            if version is not None and version != user.version:
                raise StaleVersionError(
                    f"{user.name} has version {user.version}, not {version}; read the user again, and repeat the change"
                )
            at = user.disabled if disabled is None else (user.disabled or self._directory.now()) if disabled else None
            return replace(user, role=role or user.role, disabled=at)

        return change


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
