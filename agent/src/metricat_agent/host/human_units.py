"""Human-readable sizes in files of the kernel: ``512``, ``20.4G``, ``-1.5k``. Pure."""

from __future__ import annotations

import re

from metricat_agent.host.ascii_text import BLANKS

_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d+))?([kMGTPEZY]?)")
_FACTORS = {letter: 1 << 10 * power for power, letter in enumerate(("", *"kMGTPEZY"))}


def parse_size(text: str) -> int:
    """Return the size as an integer: letters are powers of 1024, fractions are decimal. Raises ValueError."""
    found = _NUMBER.fullmatch(text.strip(BLANKS))
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 512, 20.4G or -1.5k")
    sign, whole, part, letter = found.groups()
    value: int = int(f"{whole}{part or ''}") * _FACTORS[letter] // 10 ** len(part or "")
    return -value if sign else value
