"""The Slack message about a notification, as blocks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from metricat_hub.notify.content import one_line
from metricat_hub.notify.render.rows import description, links, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.notify.content import AlertText, Content

_MOST_HEADER, _MOST_SECTION = 150, 3000
"""Slack's limits in characters."""
_MOST_ALERTS = 15
"""The most alerts in one message. Slack accepts 50 blocks."""
_ICONS = {"critical": ":red_circle:", "error": ":red_circle:", "warning": ":large_orange_circle:"}
_OTHER, _RESOLVED = ":large_blue_circle:", ":large_green_circle:"


def body(content: Content, channel: str, mentions: Sequence[str]) -> bytes:
    """Return the JSON body for an incoming webhook or for `chat.postMessage`."""
    called = " ".join(map(_mention, mentions)) if content.status == "firing" else ""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": one_line(content.title, _MOST_HEADER)}}
    ]
    if called:
        blocks.append(_section(called))
    blocks += [_section(_alert(text)) for text in content.alerts[:_MOST_ALERTS]]
    left = len(content.alerts) - _MOST_ALERTS
    further = [f"and {left} more" if left > 0 else "", content.hidden]
    if content.link:
        further.append(f"<{_escaped(content.link)}|All alerts>")
    if any(further):
        text = " · ".join(filter(None, (further[0], *further[1:])))
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
    found: dict[str, Any] = {
        "text": " ".join(filter(None, (called, _escaped(content.title)))),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }
    if channel:
        found["channel"] = channel
    return msgspec.json.encode(found)


def _alert(text: AlertText) -> str:
    icon = _RESOLVED if text.status == "resolved" else _ICONS.get(text.severity, _OTHER)
    anchors = " · ".join(f"<{_escaped(url)}|{name}>" for name, url in links(text))
    lines = [
        f"{icon} *{_escaped(one_line(text.summary, 300))}*",
        *(f"*{_escaped(name)}:* {_escaped(value)}" for name, value in rows(text)),
    ]
    room = _MOST_SECTION - sum(len(line) + 1 for line in lines) - len(anchors) - 2
    if text.description and room > 100:
        lines.append(_escaped(one_line(description(text), room // 5)) if room < 1_000 else _cut(text, room))
    return "\n".join([*lines, *([anchors] if anchors else [])])[:_MOST_SECTION]


def _cut(text: AlertText, room: int) -> str:
    """Return the escaped description, cut before it is longer than the room."""
    found = description(text)
    while len(escaped := _escaped(found)) > room:
        found = one_line(found, len(found) - (len(escaped) - room) - 1)
    return escaped


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _mention(identifier: str) -> str:
    if identifier in ("here", "channel", "everyone"):
        return f"<!{identifier}>"
    return f"<!subteam^{identifier}>" if identifier.startswith("S") else f"<@{identifier}>"


def _escaped(text: str) -> str:
    """Return a text without Slack's control characters: a label must not mention people."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
