"""A real SMTP server on a loopback port: unencrypted, with STARTTLS, or with TLS from the start."""

from __future__ import annotations

import asyncio
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from email.message import EmailMessage

    from aiosmtpd.smtp import Envelope, Session

USER, PASSWORD = "metricat", "open sesame"


@dataclass
class Mail:
    """A received mail."""

    sender: str
    to: list[str]
    is_encrypted: bool
    user: str
    message: EmailMessage


@dataclass
class Mailbox:
    """The received mails, and the replies that a test scripts."""

    port: int = 0
    mails: list[Mail] = field(default_factory=list)
    recipients: Mapping[str, list[str]] = field(default_factory=dict)
    """Replies to RCPT by address, of which each is used once; the last one repeats. Without one: 250."""
    data: list[str] = field(default_factory=list)
    """Replies to DATA, likewise."""
    senders: list[str] = field(default_factory=list)

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: ARG002, N802 -- aiosmtpd's
        if self.senders:
            return _next(self.senders)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: ARG002, N802 -- aiosmtpd's
        reply = _next(self.recipients.get(address, []))
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802 -- aiosmtpd's
        reply = _next(self.data)
        if reply.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            message: EmailMessage = message_from_bytes(content, policy=policy.default)
            user = session.auth_data.decode() if isinstance(session.auth_data, bytes) else ""
            is_encrypted = session.ssl is not None
            self.mails.append(Mail(str(envelope.mail_from), list(envelope.rcpt_tos), is_encrypted, user, message))
        return reply


def _next(replies: list[str]) -> str:
    if not replies:
        return "250 OK"
    return replies.pop(0) if len(replies) > 1 else replies[0]


def _log_in(server: Any, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:  # noqa: ARG001 -- aiosmtpd's
    if isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode()):
        return AuthResult(success=True, auth_data=data.login)
    return AuthResult(success=False, handled=False)


@contextmanager
def mail_server(
    *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None, login: bool = False
) -> Iterator[Mailbox]:
    """Run the server."""
    mailbox = Mailbox()
    loop = asyncio.new_event_loop()
    transports: list[Any] = []

    class Tracked(SMTP):
        def connection_made(self, transport: Any) -> None:
            transports.append(transport)
            super().connection_made(transport)

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # aiosmtpd does not see that the connection is encrypted
            return made()

    def made() -> SMTP:
        return Tracked(
            mailbox,
            hostname="mail.example.org",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=_log_in if login else None,
            auth_required=login,
            auth_require_tls=login and tls is None and starttls is not None,
            loop=loop,
        )

    async def start() -> asyncio.Server:
        return await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)

    # In the thread: the caller's thread may run another loop, for example Playwright's.
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(start(), loop).result(60)
    mailbox.port = server.sockets[0].getsockname()[1]

    async def stop() -> None:
        server.close()
        for one in transports:
            if not one.is_closing():
                one.abort()
        await asyncio.sleep(0)
        tasks = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield mailbox
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
