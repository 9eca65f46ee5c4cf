"""Encodes responses in Prometheus' JSON. Values are strings as Go formats them; times are seconds.

The functions join texts instead of encoding objects, because a result of a million samples has a million small lists.
"""

from __future__ import annotations

import re
from operator import add
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values

_SPECIAL = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}
_EXPONENT = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?e([+-]?[0-9]+)")


def format_value(value: float) -> str:
    """Format a value as Prometheus does: the shortest decimal, with an exponent below 1e-6 and from 1e21."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if text in _SPECIAL:
        return _SPECIAL[text]
    small = -1e-6 < value < 1e-6
    if "e" not in text and not small:
        return text
    found = _EXPONENT.fullmatch(text)
    if found is None:  # repr writes an exponent below 1e-4
        raise AssertionError(text)
    sign, whole, fraction, exponent = found[1], found[2], found[3] or "", int(found[4])
    if small or abs(value) >= 1e21:
        point = "." if fraction and fraction != "0" else ""
        return f"{sign}{whole}{point}{fraction if point else ''}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    digits = whole + fraction
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}".rstrip("0")
    return sign + digits.ljust(exponent + 1, "0")


def format_values(values: Values) -> list[str]:
    """Format values as Prometheus does."""
    if not len(values):
        return []
    numbers = values.tolist()
    text = msgspec.json.encode(numbers).decode()[1:-1]
    if "e" in text or "n" in text or "E" in text:  # an exponent, or null for NaN and infinities
        return [
            format_value(number) if "e" in one or "n" in one or "E" in one else one.removesuffix(".0")
            for one, number in zip(text.split(","), numbers, strict=True)
        ]
    return (text + ",").replace(".0,", ",")[:-1].split(",")


def format_time(milliseconds: int) -> str:
    """Format a time as Prometheus does: as seconds with three decimals, or without decimals for a whole second."""
    sign = "-" if milliseconds < 0 else ""
    seconds, rest = divmod(abs(milliseconds), 1000)
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def time_prefixes(times: Times) -> list[str]:
    """Return the JSON of each sample up to its value, which all series of a result share."""
    return [f'[{format_time(at)},"' for at in times.tolist()]


def labels_json(labels: Labels) -> str:
    """Encode labels as a JSON object."""
    return msgspec.json.encode(dict(labels)).decode()


def vector_json(series: Sequence[Labels], at: int, values: Values) -> str:
    """Encode an instant vector: the labels and the value of each series, and one time for all."""
    prefix = f'"value":[{format_time(at)},"'
    parts = (
        f'{{"metric":{labels_json(labels)},{prefix}{text}"]}}'
        for labels, text in zip(series, format_values(values), strict=True)
    )
    return f"[{','.join(parts)}]"


def samples_json(prefixes: Sequence[str], values: Values) -> str:
    """Encode the samples of one series; `prefixes` are from `time_prefixes`, one for each value."""
    if not prefixes:
        return "[]"
    return "[" + '"],'.join(map(add, prefixes, format_values(values))) + '"]]'


def matrix_json(rows: Iterable[tuple[Labels, Sequence[str], Values]]) -> str:
    """Encode a matrix. Each row has the labels, the prefixes from `time_prefixes` and the values of a series."""
    parts = (
        f'{{"metric":{labels_json(labels)},"values":{samples_json(prefixes, values)}}}'
        for labels, prefixes, values in rows
    )
    return f"[{','.join(parts)}]"


def scalar_json(at: int, value: float) -> str:
    """Encode a scalar. Prometheus writes scalars without an exponent, unlike all other values."""
    text = format_value(value)
    if "e" in text:
        from decimal import Decimal  # noqa: PLC0415 -- rare

        text = f"{Decimal(text):f}"
    return f'[{_shortest_time(at)},"{text}"]'


def string_json(at: int, text: str) -> str:
    """Encode a string result."""
    return f"[{_shortest_time(at)},{msgspec.json.encode(text).decode()}]"


def _shortest_time(milliseconds: int) -> str:
    """Return a time without trailing zeros, as Prometheus writes the times of scalars and strings."""
    text = format_time(milliseconds)
    return text.rstrip("0") if "." in text else text


def success(data: str, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """Return the body of a successful response; `data` is JSON."""
    tail = "".join(
        f',"{name}":{msgspec.json.encode(texts).decode()}'
        for name, texts in (("warnings", list(warnings)), ("infos", list(infos)))
        if texts
    )
    return f'{{"status":"success","data":{data}{tail}}}'.encode()


def failure(kind: str, message: str) -> bytes:
    """Return the body of an error response; `kind` is Prometheus' error type, such as `bad_data`."""
    return msgspec.json.encode({"status": "error", "errorType": kind, "error": message})
