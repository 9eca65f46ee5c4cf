"""The validated settings of the push. Imported only if a URL is set."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.config.loader import RawSettings, Value

_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_BYTES = 1 << 40


@dataclass(frozen=True, slots=True)
class PushSettings:
    """Settings of the push: receiver, interval and age in seconds, labels, buffer. An empty text: not configured."""

    url: str
    token_file: str
    username: str
    password_file: str
    ca_file: str
    interval: float
    labels: Mapping[str, str]
    compression: str
    buffer_path: str
    buffer_bytes: int
    buffer_age: float

    @property
    def shown_url(self) -> str:
        """The URL for logs, without its query, which may contain a secret."""
        return self.url.partition("?")[0]


def parse(raw: RawSettings, node: str) -> PushSettings:
    """Return the settings of the push; raise `SettingError` for an invalid one. ``node`` is the node's name."""
    url = raw.get("push.url")
    _check_url(url)
    token, username, password = (raw.get(f"push.{name}") for name in ("token-file", "username", "password-file"))
    if token.text and username.text:
        raise token.error("cannot be combined with --push.username; remove one of them")
    if bool(username.text) != bool(password.text):
        given = username if username.text else password
        raise given.error("--push.username and --push.password-file belong together; give both")
    for value in (token, password, raw.get("push.tls-ca-file")):
        if value.text and not os.path.isfile(value.text):  # noqa: PTH113 -- paths are texts here
            raise value.error("not a file; give the path of an existing one")
    return PushSettings(
        url=url.text,
        token_file=token.text,
        username=username.text,
        password_file=password.text,
        ca_file=raw.get("push.tls-ca-file").text,
        interval=raw.seconds("push.interval", 1, 3600),
        labels=_labels(raw.get("push.labels"), node),
        compression=raw.choice("push.compression"),
        buffer_path=raw.get("push.buffer.path").text,
        buffer_bytes=raw.whole("push.buffer.bytes", 1 << 20, _MOST_BYTES),
        buffer_age=raw.seconds("push.buffer.age", 60, 365 * 86400),
    )


def _check_url(value: Value) -> None:
    example = "write for example https://hub.example.org:8428/api/v1/write"
    try:
        url = urlsplit(value.text)
        valid = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        valid = False
    if not valid or not value.text.isascii() or not value.text.isprintable() or " " in value.text:
        raise value.error(f"not a URL with http or https; {example}")
    if url.username is not None or url.password is not None:
        raise value.error("has a user name or password; give them as --push.username and --push.password-file")
    if url.fragment:
        raise value.error("has a fragment (#), which is never sent; remove it")
    if url.path in ("", "/"):
        raise value.error(f"has no path; {example}")


def _labels(value: Value, node: str) -> dict[str, str]:
    """Return the labels of every series: defaults with which the alerts of Metricat work, and the given ones."""
    labels = {
        "job": "metricat",
        "namespace": "local",
        "service": "metricat",
        "node": node,
        "pool": "default",
        "instance": node,
    }
    given: dict[str, str] = {}
    for text in filter(None, value.texts):
        name, equals, content = text.partition("=")
        if not equals or not _LABEL.fullmatch(name):
            raise value.error(f"{text}: not a label; write NAME=VALUE, for example pool=database")
        if given.setdefault(name, content) != content:
            raise value.error(f"two values of the label {name}; remove one of them")
    return {name: content for name, content in {**labels, **given}.items() if content}
