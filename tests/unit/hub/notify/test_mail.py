"""E-mail through a real SMTP server."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.receivers import EmailChannel, Secret, Tls
from metricat_hub.notify.channel import Message
from metricat_hub.notify.channels.mail import Email
from metricat_hub.notify.content import describe
from metricat_hub.notify.outcome import DELIVERED
from support.certificates import self_signed
from support.notifications import AT, notification
from support.smtp_server import PASSWORD, USER, mail_server

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.notify.outcome import Outcome

OPS, DBA = "ops@example.org", "dba@example.org"


def channel(port: int, **settings: Any) -> Email:
    given = {"to": (OPS, DBA), "sender": "hub@example.org", "host": "127.0.0.1", "encryption": "none", **settings}
    return Email(EmailChannel(port=port, hello="hub.example.org", **given))


def attempt(own: Email, progress: str = "") -> Outcome:
    one = notification()
    return own.send(Message(one, describe(one, AT), AT, progress))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    self_signed(tmp_path, "mail")
    return tmp_path / "mail.crt"


def context(certificate: Path) -> ssl.SSLContext:
    found = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    found.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return found


def trusting(certificate: Path) -> dict[str, Any]:
    return {"host": "127.0.0.1", "tls": Tls(ca_file=str(certificate), server_name="localhost")}


def test_mail_has_text_and_html_and_reaches_all_recipients() -> None:
    with mail_server() as mailbox:
        assert attempt(channel(mailbox.port)) == DELIVERED
    [mail] = mailbox.mails
    assert (mail.sender, mail.to) == ("hub@example.org", [OPS, DBA])
    assert mail.message["Subject"] == "[FIRING 1] NodeCPUUsageHigh on web-1 (critical)"
    assert mail.message["To"] == f"{OPS}, {DBA}"
    plain, html = (mail.message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert "Value:      97.3 % (threshold >= 95 %)" in plain.get_content()
    assert 'href="https://hub.example.org/alerts/' in html.get_content()


def test_mail_is_sent_after_starttls_and_login(certificate: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("wrong\n")
    with mail_server(starttls=context(certificate), login=True) as mailbox:
        own = channel(
            mailbox.port,
            encryption="starttls",
            username=USER,
            password=Secret(file=str(file)),
            **trusting(certificate),
        )
        outcome = attempt(own)
        assert (outcome.result, outcome.error[:21]) == ("failed", "the login failed: 535")
        file.write_text(f"{PASSWORD}\n")  # each attempt reads it again
        assert attempt(own) == DELIVERED
    [mail] = mailbox.mails
    assert (mail.is_encrypted, mail.user) == (True, USER)


def test_secrets_of_a_channel_include_the_encoded_password() -> None:
    own = channel(1, username="hub", password=Secret("pass word"))
    # As AUTH LOGIN and AUTH PLAIN send it.
    assert {"pass word", "cGFzcyB3b3Jk", "AGh1YgBwYXNzIHdvcmQ="} <= set(own.secrets())


def test_mail_is_sent_by_tls_from_the_start(certificate: Path) -> None:
    with mail_server(tls=context(certificate), login=True) as mailbox:
        own = channel(mailbox.port, encryption="tls", username=USER, password=Secret(PASSWORD), **trusting(certificate))
        assert attempt(own) == DELIVERED
    assert mailbox.mails[0].user == USER


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_certificate_that_does_not_verify_fails(certificate: Path, encryption: str) -> None:
    own = context(certificate)
    other = Tls(ca_file=str(certificate), server_name="other.example")
    with mail_server(starttls=own) if encryption == "starttls" else mail_server(tls=own) as mailbox:
        for tls in (Tls(), other):
            outcome = attempt(channel(mailbox.port, encryption=encryption, tls=tls))
            assert outcome.result == "failed"
            assert outcome.error.startswith("the certificate is not valid")
    assert not mailbox.mails


def test_server_without_starttls_gets_no_mail() -> None:
    with mail_server() as mailbox:
        outcome = attempt(channel(mailbox.port, encryption="starttls"))
    assert (outcome.result, mailbox.mails) == ("failed", [])
    assert "does not offer STARTTLS" in outcome.error


def test_recipient_that_is_refused_for_now_gets_the_mail_later() -> None:
    with mail_server() as mailbox:
        mailbox.recipients = {DBA: ["451 greylisted", "250 OK"]}
        own = channel(mailbox.port)
        outcome = attempt(own)
        assert (outcome.result, outcome.error) == ("failed", f"{DBA}: 451 greylisted")
        assert attempt(own, outcome.progress) == DELIVERED
    assert [one.to for one in mailbox.mails] == [[OPS], [DBA]]


def test_recipient_that_does_not_exist_does_not_stop_the_others() -> None:
    with mail_server() as mailbox:
        mailbox.recipients = {DBA: ["550 no such user"]}
        outcome = attempt(channel(mailbox.port))
    assert (outcome.result, outcome.error) == ("delivered", f"{DBA}: 550 no such user")
    assert mailbox.mails[0].to == [OPS]


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        ({"recipients": {OPS: ["550 no"], DBA: ["550 no"]}}, "rejected"),
        ({"recipients": {OPS: ["550 no"], DBA: ["450 later"]}}, "failed"),
        ({"data": ["554 spam"]}, "rejected"),
        ({"data": ["452 disk full"]}, "failed"),
        ({"senders": ["553 not you"]}, "rejected"),
        ({"senders": ["530 log in first"]}, "failed"),
    ],
)
def test_reply_decides_whether_the_mail_is_sent_again(replies: dict[str, Any], result: str) -> None:
    with mail_server() as mailbox:
        for name, value in replies.items():
            setattr(mailbox, name, value)
        outcome = attempt(channel(mailbox.port))
    assert outcome.result == result
    assert outcome.error


def test_server_that_is_down_fails() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = attempt(channel(unused.getsockname()[1]))
    assert (outcome.result, outcome.error) == ("failed", "Connection refused")


def test_silent_server_fails_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = attempt(channel(listener.getsockname()[1], timeout=0.2))
    assert (outcome.result, outcome.error) == ("failed", "timeout")


def test_server_that_sends_a_byte_at_a_time_fails() -> None:
    """Each byte restarts the timeout of the socket, so only the limit of the whole attempt ends it."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                while not ended.wait(0.02):
                    try:
                        connection.sendall(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        outcome = attempt(channel(listener.getsockname()[1], timeout=0.5))
        ended.set()
        thread.join()
    assert outcome.result == "failed"


def test_missing_password_file_fails_with_its_path() -> None:
    with mail_server() as mailbox:
        own = channel(mailbox.port, username=USER, password=Secret(file="/nonexistent/password"))
        outcome = attempt(own)
    assert outcome.error == "/nonexistent/password: No such file or directory; set the path of a readable file"
