"""Durations as text, in two grammars: of a MonitoringTarget's fields (`1h30m`, as in Go) and of Prometheus (`1d2h`).

Both take whole numbers with the largest unit first, each unit once. Neither has a bare number, so `0` is not a
duration and `0s` is. Pure.
"""

import re

_SECONDS = {
    "y": 31_536_000.0,
    "w": 604_800.0,
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_SPEC_UNITS = ("h", "m", "s", "ms")

SPEC_PATTERN = "^" + "".join(f"([0-9]{{1,6}}{unit})?" for unit in _SPEC_UNITS) + "$"
"""At most six digits: in seconds, that is eleven days. More digits could exceed the API server's own durations."""

PROMETHEUS_PATTERN = f"(?:[0-9]+(?:{'|'.join(reversed(_SECONDS))}))+"
"""Finds durations of Prometheus in a longer text. `prometheus_seconds` checks the order of their units."""

_SPEC = re.compile("(?!$)" + "".join(rf"(?:([0-9]{{1,6}}){unit})?" for unit in _SPEC_UNITS))
_PROMETHEUS = re.compile("(?!$)" + "".join(rf"(?:([0-9]+){unit})?" for unit in _SECONDS))


class DurationError(ValueError):
    """The text is not a duration; the message has the text and valid examples."""


def spec_seconds(text: str) -> float:
    """Return the seconds of a duration of a MonitoringTarget's spec, such as `1h30m`: hours are its largest unit.

    Raises:
        DurationError: the text is not such a duration.
    """
    return _seconds(_SPEC, _SPEC_UNITS, text, "30s, 5m or 1h30m")


def prometheus_seconds(text: str) -> float:
    """Return the seconds of a duration as Prometheus writes it, such as `1d2h`: years are its largest unit.

    Raises:
        DurationError: the text is not such a duration.
    """
    return _seconds(_PROMETHEUS, tuple(_SECONDS), text, "7d, 12h or 30s")


def _seconds(grammar: re.Pattern[str], units: tuple[str, ...], text: str, examples: str) -> float:
    found = grammar.fullmatch(text)
    if found is None:
        raise DurationError(f"invalid duration {text!r}; use for example {examples}")
    numbers = zip(found.groups(), units, strict=True)
    return sum((int(number) * _SECONDS[unit] for number, unit in numbers if number), 0.0)
