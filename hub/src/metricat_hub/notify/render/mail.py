"""The e-mail about a notification, as plain text and as HTML. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING

from metricat_hub.notify.render.rows import description, links, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import Notification
    from metricat_hub.notify.content import AlertText, Content

_COLORS = {"critical": "#b3261e", "error": "#b3261e", "warning": "#8a5300", "info": "#1f5fa8"}
_OTHER, _RESOLVED = "#444444", "#1b6e3c"


def mail(notification: Notification, content: Content, sender: str, to: Sequence[str], at: int) -> EmailMessage:
    """Return the e-mail. `at` is its date in milliseconds since 1970.

    Messages about one group have the same message in References, so that mail programs show them as one conversation. A
    repeated message has the same Message-ID.
    """
    policy = SMTP if all(one.isascii() for one in (sender, *to)) else SMTPUTF8
    domain = sender.rpartition("@")[2]
    found = EmailMessage(policy=policy)
    found["Subject"] = content.title
    found["From"] = sender
    found["To"] = ", ".join(to)
    found["Date"] = format_datetime(datetime.fromtimestamp(at // 1000, UTC))
    found["Message-ID"] = f"<{_digest(notification.identity, notification.receiver, *to)}@{domain}>"
    found["References"] = f"<{_digest(notification.group_key, notification.receiver)}@{domain}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-Metricat-Notification"] = _digest(notification.identity)
    found.set_content(plain(content), cte="quoted-printable")
    found.add_alternative(html(content), subtype="html", cte="quoted-printable")
    return found


def plain(content: Content) -> str:
    """Return the content as plain text."""
    parts = [content.title]
    for text in content.alerts:
        state = "Resolved: " if text.status == "resolved" else ""
        lines = [f"{state}{_one(text.summary)}"]
        lines += [f"  {name + ':':<11} {value}" for name, value in rows(text)]
        if text.description:
            lines.append(f"  {description(text)}")
        lines += [f"  {name + ':':<11} {url}" for name, url in links(text)]
        parts.append("\n".join(lines))
    if content.hidden:
        parts.append(content.hidden)
    if content.link:
        parts.append(f"All alerts: {content.link}")
    return "\n\n".join(parts) + "\n"


def html(content: Content) -> str:
    """Return the content as HTML."""
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width"></head>',
        '<body style="font-family:sans-serif;font-size:15px;line-height:1.4;color:#1c1c1c;max-width:720px">',
        f'<h1 style="font-size:18px;margin:0 0 16px">{escape(content.title)}</h1>',
        *(_section(text) for text in content.alerts),
    ]
    if content.hidden:
        parts.append(f"<p>{escape(content.hidden)}</p>")
    if content.link:
        parts.append(f'<p><a href="{escape(content.link)}">All alerts</a></p>')
    return "\n".join([*parts, "</body></html>\n"])


def _section(text: AlertText) -> str:
    color = _RESOLVED if text.status == "resolved" else _COLORS.get(text.severity, _OTHER)
    label = "resolved" if text.status == "resolved" else text.severity or "firing"
    cells = "\n".join(
        f'<tr><th style="text-align:left;vertical-align:top;padding:2px 12px 2px 0;font-weight:600">{escape(name)}</th>'
        f'<td style="padding:2px 0">{escape(value)}</td></tr>'
        for name, value in rows(text)
    )
    anchors = " · ".join(f'<a href="{escape(url)}">{name}</a>' for name, url in links(text))
    heading = f'{escape(_one(text.summary))} <span style="color:{color};font-weight:400">{escape(label)}</span>'
    parts = (
        f'<div style="border-left:4px solid {color};padding:4px 0 4px 12px;margin:0 0 20px">',
        f'<h2 style="font-size:16px;margin:0 0 4px">{heading}</h2>',
        f"<table>\n{cells}\n</table>",
        f"<p>{escape(description(text))}</p>" if text.description else "",
        f"<p>{anchors}</p>" if anchors else "",
        "</div>",
    )
    return "\n".join(filter(None, parts))


def _one(text: str) -> str:
    return " ".join(text.split())


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
