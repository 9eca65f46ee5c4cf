"""Responses in Prometheus' JSON, as bytes. Values are strings, as Go formats them; times are seconds.

Joining bytes is faster than encoding objects: a result of a million samples has a million small lists.
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
    """Return a value as Prometheus writes it: the shortest decimal, with an exponent below 1e-6 and from 1e21."""
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
    """Return all values as Prometheus writes them."""
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
    """Return a time in seconds as Prometheus writes it: three decimals, or none."""
    sign = "-" if milliseconds < 0 else ""
    seconds, rest = divmod(abs(milliseconds), 1000)
    return f"{sign}{seconds}.{rest:03d}" if rest else f"{sign}{seconds}"


def time_prefixes(times: Times) -> list[str]:
    """Return the JSON of each sample up to its value. Series of one result share it."""
    return [f'[{format_time(at)},"' for at in times.tolist()]


def labels_json(labels: Labels) -> str:
    """Return the JSON object of labels."""
    return msgspec.json.encode(dict(labels)).decode()


def vector_json(series: Sequence[Labels], at: int, values: Values) -> str:
    """Return the JSON of an instant vector."""
    prefix = f'"value":[{format_time(at)},"'
    parts = (
        f'{{"metric":{labels_json(labels)},{prefix}{text}"]}}'
        for labels, text in zip(series, format_values(values), strict=True)
    )
    return f"[{','.join(parts)}]"


def samples_json(prefixes: Sequence[str], values: Values) -> str:
    """Return the JSON of the samples of one series."""
    if not prefixes:
        return "[]"
    return "[" + '"],'.join(map(add, prefixes, format_values(values))) + '"]]'


def matrix_json(rows: Iterable[tuple[Labels, Sequence[str], Values]]) -> str:
    """Return the JSON of a matrix: the labels, the prefixes of times and the values of each series."""
    parts = (
        f'{{"metric":{labels_json(labels)},"values":{samples_json(prefixes, values)}}}'
        for labels, prefixes, values in rows
    )
    return f"[{','.join(parts)}]"


def scalar_json(at: int, value: float) -> str:
    """Return the JSON of a scalar. Prometheus writes scalars without an exponent, unlike all other values."""
    text = format_value(value)
    if "e" in text:
        from decimal import Decimal  # noqa: PLC0415 -- rare

        text = f"{Decimal(text):f}"
    return f'[{_shortest_time(at)},"{text}"]'


def string_json(at: int, text: str) -> str:
    """Return the JSON of a string."""
    return f"[{_shortest_time(at)},{msgspec.json.encode(text).decode()}]"


def _shortest_time(milliseconds: int) -> str:
    """Return a time without trailing zeros, as Prometheus writes the times of scalars and strings."""
    text = format_time(milliseconds)
    return text.rstrip("0") if "." in text else text


def success(data: str, warnings: Sequence[str] = (), infos: Sequence[str] = ()) -> bytes:
    """Return a response; `data` is JSON."""
    tail = "".join(
        f',"{name}":{msgspec.json.encode(texts).decode()}'
        for name, texts in (("warnings", list(warnings)), ("infos", list(infos)))
        if texts
    )
    return f'{{"status":"success","data":{data}{tail}}}'.encode()


def failure(kind: str, message: str) -> bytes:
    """Return an error response."""
    return msgspec.json.encode({"status": "error", "errorType": kind, "error": message})
