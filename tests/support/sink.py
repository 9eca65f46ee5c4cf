"""A program that receives notifications like the real services, and lists over HTTP what it received.

It runs in a pod: `python3 sink.py FOLDER`, where FOLDER holds `sink.crt` and `sink.key`. It receives mail by SMTP after
STARTTLS and with a password, and refuses the HTTP requests that Slack, PagerDuty or a webhook with a token refuse.
"""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

SMTP_PORT, HTTP_PORT = 2525, 8080
USER, PASSWORD = "metricat", "open sesame"
TOKEN = "a-token"
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_SEVERITIES = {"critical", "error", "warning", "info"}
_ACTIONS = {"trigger", "acknowledge", "resolve"}

RECEIVED: list[dict[str, Any]] = []


class Mail:
    """Handler of the SMTP server."""

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 (aiosmtpd's)
        """Store the message."""
        content = envelope.content
        message = email.message_from_bytes(content if isinstance(content, bytes) else b"", policy=email.policy.default)
        body, page = (message.get_body((kind,)) for kind in ("plain", "html"))
        RECEIVED.append(
            {
                "way": "email",
                "tls": session.ssl is not None,
                "user": str(session.auth_data or b"", "utf-8"),
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "subject": message["Subject"],
                "text": body.get_content() if body else "",
                "html": page.get_content() if page else "",
            }
        )
        return "250 OK"


def log_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:  # noqa: ARG001 (aiosmtpd's)
    """Accept the one user."""
    if isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode()):
        return AuthResult(success=True, auth_data=data.login)
    return AuthResult(success=False, handled=False)


def refusal(way: str, headers: Any, body: dict[str, Any]) -> tuple[int, str]:
    """Return the HTTP status and reason with which the real service refuses the request; 0 if it accepts it."""
    if way == "slack" and not all("title" in one and "text" in one for one in body.get("attachments", [{}])):
        return 400, "invalid_payload"
    if way == "pagerduty":
        payload = body.get("payload", {})
        shaped = body.get("event_action") in _ACTIONS and payload.get("severity") in _SEVERITIES
        if body.get("routing_key") != ROUTING_KEY or not (shaped and payload.get("summary") and payload.get("source")):
            return 400, "invalid event"
    if way == "guarded" and headers.get("Authorization") != f"Bearer {TOKEN}":
        return 401, "who are you?"
    return 0, ""


class Web(BaseHTTPRequestHandler):
    """POST /WAY receives a notification; GET lists all received ones."""

    def do_POST(self) -> None:
        """Store the notification, or refuse it."""
        way = self.path.strip("/").partition("/")[0]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, why = refusal(way, self.headers, body)
        if status:
            self._answer(status, why)
            RECEIVED.append({"way": f"refused by {way}", "why": why, "body": body})
            return
        RECEIVED.append({"way": way, "body": body})
        if way == "pagerduty":
            self._answer(202, json.dumps({"status": "success", "dedup_key": body["dedup_key"]}))
        else:
            self._answer(200, "ok")

    def do_GET(self) -> None:
        """List the received notifications."""
        self._answer(200, json.dumps(RECEIVED))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def main(folder: Path) -> None:
    """Serve until killed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "sink.crt", folder / "sink.key")
    Controller(
        Mail(),
        hostname="0.0.0.0",  # the address of the pod
        port=SMTP_PORT,
        tls_context=context,
        require_starttls=True,
        authenticator=log_in,
        auth_required=True,
        auth_exclude_mechanism=["LOGIN"],  # Alertmanager supports few of the prompts that servers use
    ).start()
    ThreadingHTTPServer(("", HTTP_PORT), Web).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
