"""Blanks, words and digits as the kernel and most file formats mean them: ASCII only.

Python's str.split(), strip(), splitlines() and isdigit() also accept U+0085, U+2028, U+00A0, U+001C and others, which
are part of names of devices, filesystems and programs.
"""

from __future__ import annotations

import re

BLANKS = " \t\n\r\v\f"
"""For str.strip()."""
_WORD = re.compile(r"[^ \t\n\r\v\f]+")


def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return _WORD.findall(text)


def is_digits(text: str) -> bool:
    """Return whether a text is a whole number without a sign."""
    return text.isascii() and text.isdigit()
