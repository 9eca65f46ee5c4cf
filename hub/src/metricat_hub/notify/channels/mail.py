"""E-mail by SMTP: unencrypted, with STARTTLS, or with TLS from the start."""

from __future__ import annotations

import base64
import json
import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeAlias

from metricat_hub.notify.channels.http import SecretFileError, reveal, revealed
from metricat_hub.notify.outcome import DELIVERED, Outcome
from metricat_hub.notify.render.mail import mail
from metricat_hub.remote.http_client import client_context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.receivers import EmailChannel
    from metricat_hub.notify.channel import Message

    Refused: TypeAlias = Mapping[str, tuple[int, bytes]]

_LOGIN_CODES = (530, 534, 535, 538)
"""Reply codes of SMTP about the login. After a correction of the credentials, the message can succeed."""
_WHOLE = 2.0
"""Time limit of a whole delivery, as a multiple of the timeout of one reply."""


class Email:
    """Sends e-mails to a list of recipients."""

    kind = "email"
    resend_seconds = 0.0

    def __init__(self, settings: EmailChannel) -> None:
        self.shown = ", ".join(settings.to)
        self.sends_resolved = settings.send_resolved
        self._settings = settings

    def send(self, message: Message) -> Outcome:
        """Make one attempt, for the recipients that have not accepted the message yet."""
        settings = self._settings
        to = [one for one in json.loads(message.progress or "[]") if one in settings.to] or list(settings.to)
        text = mail(message.notification, message.content, settings.sender, settings.to, message.at)
        try:
            with _Connection(settings) as smtp:
                refused = smtp.send_message(text, settings.sender, to)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients, is_all=True)
        except smtplib.SMTPAuthenticationError as error:
            return Outcome("failed", f"the login failed: {_reply(error.smtp_code, error.smtp_error)}")
        except smtplib.SMTPResponseException as error:
            text_of_error = _reply(error.smtp_code, error.smtp_error)
            is_final = error.smtp_code // 100 == 5 and error.smtp_code not in _LOGIN_CODES
            is_about_message = isinstance(error, (smtplib.SMTPDataError, smtplib.SMTPSenderRefused))
            return Outcome("rejected" if is_final and is_about_message else "failed", text_of_error)
        except (SecretFileError, smtplib.SMTPException, OSError) as error:
            return Outcome("failed", _reason(error))
        return _refused(refused, is_all=False) if refused else DELIVERED

    def secrets(self) -> Sequence[str]:
        """Return the texts that no error may contain."""
        user = self._settings.username
        found = revealed(self._settings.password)
        # A server can repeat what it received: LOGIN sends the password, PLAIN both.
        found += [base64.b64encode(text.encode()).decode() for one in found for text in (one, f"\0{user}\0{one}")]
        return found

    def close(self) -> None:
        """Do nothing: each attempt has its own connection."""


class _Connection(smtplib.SMTP):
    """A connection that is encrypted and logged in as the settings require. It ends after twice the timeout."""

    def __init__(self, settings: EmailChannel) -> None:
        tls = settings.tls
        self._settings = settings
        self._context: ssl.SSLContext | None = None
        if settings.encryption != "none":
            self._context = client_context(
                tls.ca_file, tls.cert_file, tls.key_file, insecure_skip_verify=tls.insecure_skip_verify
            )
        super().__init__(local_hostname=settings.hello or socket.gethostname(), timeout=settings.timeout)
        self._host = tls.server_name or settings.host  # the name in the certificate
        self._timer = threading.Timer(_WHOLE * settings.timeout, self._abort)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        try:
            self._open()
        except BaseException:
            self._timer.cancel()
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        """Say goodbye. An error of it does not matter: the server has the message."""
        with suppress(OSError, smtplib.SMTPException):
            self.quit()
        self._timer.cancel()
        self.close()

    def _open(self) -> None:
        """Connect, encrypt and log in."""
        settings = self._settings
        code, text = self.connect(settings.host, settings.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        if settings.encryption == "starttls":
            self.ehlo_or_helo_if_needed()
            if not self.has_extn("starttls"):
                raise smtplib.SMTPNotSupportedError(
                    "the server does not offer STARTTLS; set force_implicit_tls for a port with TLS from the start"
                )
            self.starttls(context=self._context)
        if settings.username:
            self.login(settings.username, reveal(settings.password))

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        found = socket.create_connection((host, port), timeout)
        if self._settings.encryption != "tls" or self._context is None:
            return found
        try:
            return self._context.wrap_socket(found, server_hostname=self._host)
        except BaseException:
            found.close()
            raise

    def _abort(self) -> None:
        if self.sock:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


def _refused(refused: Refused, *, is_all: bool) -> Outcome:
    """Return the outcome for refused recipients: those with a temporary reply get the message with the next attempt."""
    later = [one for one, (code, _) in refused.items() if code // 100 == 4]
    text = "; ".join(f"{one}: {_reply(*reply)}" for one, reply in refused.items())
    if later:
        return Outcome("failed", text, progress=json.dumps(later))
    return Outcome("rejected" if is_all else "delivered", text)


def _reply(code: int, text: bytes | str) -> str:
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(shown.split())}"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) or str(error).endswith("timed out"):  # smtplib keeps only the text
        return "timeout"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
