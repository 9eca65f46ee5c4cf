"""Numbers as some files of the kernel show them to people: ``512``, ``20.4G``, ``-1.5k``. Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?([kMGTPEZY]?)")
_SHARES = {letter: 1 << 10 * power for power, letter in enumerate(("", *"kMGTPEZY"))}


def parse_size(text: str) -> int:
    """Return it as a whole number; letters are powers of 1024, digits behind the point decimal. Raises ValueError."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no number")
    sign, whole, part, letter = found.groups()
    value: int = int(f"{whole}{part or ''}") * _SHARES[letter] // 10 ** len(part or "")
    return -value if sign else value
