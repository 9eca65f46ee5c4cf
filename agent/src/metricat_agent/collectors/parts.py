"""Parsing of single parts of the host: a part that cannot be parsed is counted, and the others keep their metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from metricat_agent.host.ascii_text import BLANKS
from metricat_agent.host.skips import Skips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
_MALFORMED = (ValueError, IndexError, KeyError, OverflowError)
_LARGEST = (1 << 64) - 1
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
_NO_VALUE = ("(null)", "<unknown>", "N/A", "n/a", "N/A (no PMA)", "invalid", "unknown", "not supported")
"""Texts that the kernel prints in place of a value. It prints ``(null)`` for a null pointer (lib/vsprintf.c)."""
_SHOWN = 40
"""Length of the content that a skip shows, in characters."""


class _Uncounted(Skips):
    """Skips that are not counted."""

    def add(self, reason: str, part: str, detail: object = "") -> None:
        """Do nothing."""


UNCOUNTED = _Uncounted()
"""For callers of a parser that do not count skipped parts."""


def whole(text: str) -> int:
    """Return an integer of at most 64 bits in ASCII digits. Raise ValueError for other texts, such as ``1_000``."""
    if "_" in text or not text.isascii():
        raise ValueError(f"{text!r} is not a number")
    value = int(text)
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError("the number has more than 64 bits")
    return value


def name_part(text: str) -> str:
    """Return a name of the kernel as a part of a metric name: other characters than letters and digits become ``_``."""
    return _NOT_IN_NAMES.sub("_", text)


def prefixed(text: str) -> int:
    """Return an integer as `whole` does; with the prefix ``0x``, from hexadecimal digits."""
    return int(text, 16) if text.startswith("0x") and "_" not in text else whole(text)


def lines_of(text: str) -> list[str]:
    r"""Return the lines of a table of the kernel; raise ValueError for an empty one. Only ``\n`` ends a line."""
    if not text.strip(BLANKS):
        raise ValueError("the table is empty")
    return text.removesuffix("\n").split("\n")


def device_names(table: str) -> set[str]:
    """Return the names of the devices in net/dev; raise ValueError without any: every namespace has ``lo``."""
    found = {line.rpartition(":")[0].strip(" ") for line in table.split("\n")[2:]} - {""}
    if not found:
        raise ValueError("/proc/1/net/dev has no device")
    return found


def parse_part(skips: Skips, part: str, parse: Callable[[str], T], text: str) -> T | None:
    """Return the parsed text of a part. If it cannot be parsed, count it in ``skips`` and return None."""
    try:
        return parse(text)
    except _MALFORMED:
        skips.add("no_value" if text.strip(BLANKS) in _NO_VALUE else "unparsable", part, repr(text[:_SHOWN]))
        return None


def parse_file(skips: Skips, files: Mapping[str, str], file: str, place: str, parse: Callable[[str], T]) -> T | None:
    """Return the parsed text of a file; None if the file does not exist or ``parse_part`` cannot parse it.

    ``place`` is the directory of the files, for the name of the part.
    """
    text = files.get(file)
    return None if text is None else parse_part(skips, f"{place}/{file}", parse, text)
