"""Masking of credentials in texts that go to logs. Pure."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)\S*@")
"""Everything before the last ``@``: a password may contain ``@``, ``/``, ``?`` and ``#`` although URLs forbid them."""


def without_users(text: str) -> str:
    """Return a text with ``***`` in place of the users and passwords of URLs."""
    return _USER.sub("***@", text)
