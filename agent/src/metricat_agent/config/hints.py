"""Hints for misspelt settings. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_OPPOSITES = (
    (("include", "whitelist", "allow"), ("exclude", "ignored", "ignore", "blacklist", "deny")),
    (("enable", "enabled", "with"), ("disable", "disabled", "without")),
)
"""Words of opposite meaning. A hint never replaces one by the other."""
_SIMILAR = 0.7
"""Least similarity of two words, from 0 to 1, to take one for a misspelling of the other."""
_LEAST = 0.8
"""Least similarity of two names."""
_BREAKS = re.compile(r"[^a-zA-Z0-9]+")


def nearest(given: str, known: Iterable[str]) -> str:
    """Return the known name that is the most similar to `given`; empty if none is similar enough.

    A name of opposite meaning is never returned: ``include`` for ``exclude``, or a switch for its ``--no-`` form.
    """
    from difflib import get_close_matches  # noqa: PLC0415 -- needed only after a typing error

    fitting = [name for name in known if _negated(name) == _negated(given) and not _opposite(given, name)]
    return next(iter(get_close_matches(given, fitting, 1, _LEAST)), "")


def _words(name: str) -> list[str]:
    return [word.lower() for word in _BREAKS.split(name) if word]


def _negated(name: str) -> bool:
    """Return whether a name is a ``--no-`` form, or begins like one that is misspelt."""
    first = next((word for word in _words(name) if word != "metricat"), "")
    return first.startswith("no") or first in ("disable", "without", "skip")


def _opposite(given: str, name: str) -> bool:
    """Return whether a known name holds a word of some meaning, and the given name no similar word of that meaning."""
    words, written = _words(name), _words(given)
    for pair in _OPPOSITES:
        for meaning, contrary in (pair, pair[::-1]):
            if any(word in meaning for word in words) and _closeness(written, meaning) <= max(
                _closeness(written, contrary), _SIMILAR
            ):
                return True
    return False


def _closeness(words: Iterable[str], meaning: Iterable[str]) -> float:
    from difflib import SequenceMatcher  # noqa: PLC0415 -- as above

    return max((SequenceMatcher(None, word, other).ratio() for word in words for other in meaning), default=0)
