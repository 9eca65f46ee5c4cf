"""The interface of the accounts database. `database.SqliteAccounts` implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.access.accounts import ApiKey, Rotation, Session, SigningKey, User


class AccountDatabase(Protocol):
    """The stored accounts. Each method blocks, is one transaction, and may be called by any thread."""

    hub_id: str
    """A random ID of the database. Access tokens contain it, so tokens of another hub are invalid."""

    def changed(self) -> bool:
        """Return whether another process has changed the accounts since the last call."""
        ...

    def users(self) -> Sequence[User]:
        """Return all users."""
        ...

    def password(self, user: str) -> str:
        """Return the hash of a user's password; empty: the user has no password."""
        ...

    def add_user(self, user: User, password: str) -> None:
        """Store a user; raise `ConflictError` if another has its name or its external account."""
        ...

    def change_user(self, user: str, change: Callable[[User], User], password: str | None = None) -> User:
        """Store the result of `change`, and the password hash unless None; return the user with its new version.

        The sessions of the user end if the user is disabled or gets another password.

        Raises:
            NotFoundError: no user has this ID.
            ConflictError: no active administrator would be left.
        """
        ...

    def remove_user(self, user: str, now: int) -> None:
        """Remove a user with its sessions, and revoke its keys. It raises the same errors as `change_user`."""
        ...

    def api_keys(self) -> Sequence[tuple[bytes, ApiKey]]:
        """Return the hash and the entry of each API key."""
        ...

    def add_key(self, digest: bytes, key: ApiKey) -> None:
        """Store an API key."""
        ...

    def revoke_key(self, key: str, now: int) -> None:
        """Revoke an API key, if it exists and is not revoked."""
        ...

    def touch_keys(self, used: Mapping[str, int]) -> None:
        """Store when API keys were last used."""
        ...

    def sessions(self, now: int) -> Sequence[Session]:
        """Return the sessions that have not ended."""
        ...

    def add_session(self, session: Session, token: bytes, expires: int, most: int) -> None:
        """Store a session with the hash of its first refresh token; end the user's oldest sessions above `most`."""
        ...

    def rotate(self, old: bytes, new: bytes, now: int, expires: int) -> tuple[Rotation, str, int]:
        """Replace the hash of a refresh token; return the result, the session ID, and when `old` was first replaced."""
        ...

    def end_session(self, session: str) -> None:
        """End a session, and remove its refresh tokens."""
        ...

    def signing_keys(self) -> Sequence[SigningKey]:
        """Return the signing keys, the newest last."""
        ...

    def add_signing_key(self, key: SigningKey) -> None:
        """Store a signing key, and retire the earlier ones."""
        ...

    def set_setup(self, token: bytes, expires: int) -> None:
        """Store the hash of the setup token, which can create the first administrator. It replaces an earlier token."""
        ...

    def complete_setup(self, token: bytes, now: int, user: User, password: str) -> bool:
        """Store the first administrator, and remove the setup token; return False if the token is wrong or expired.

        Raises:
            ConflictError: an active administrator exists.
        """
        ...

    def add_audit(self, entry: bytes) -> None:
        """Store an entry for the audit log of the hub."""
        ...

    def take_audit(self, write: Callable[[bytes], None]) -> None:
        """Write the stored entries for the audit log in their order, and remove them."""
        ...

    def purge(self, now: int, keys_before: int) -> None:
        """Remove expired sessions and tokens, and signing keys that were retired before a time."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...
