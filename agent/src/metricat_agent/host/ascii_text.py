"""Blanks, words and digits as the kernel and most file formats mean them: ASCII only.

Python's str.split(), strip(), splitlines() and isdigit() also accept U+0085, U+2028, U+00A0, U+001C and others. Names
of devices, filesystems and programs can contain these characters.
"""

from __future__ import annotations

BLANKS = " \t\n\r\v\f"
"""For str.strip()."""
_CODEC = "utf-8", "surrogatepass"
"""This codec keeps every text, including the surrogates in place of bytes that are not UTF-8."""


def words_of(text: str) -> list[str]:
    """Return the words of a text, which ASCII blanks separate.

    `bytes.split` splits at ASCII blanks only, and is faster than a regular expression.
    """
    return [word.decode(*_CODEC) for word in text.encode(*_CODEC).split()]


def is_digits(text: str) -> bool:
    """Return whether a text is a whole number without a sign."""
    return text.isascii() and text.isdigit()
