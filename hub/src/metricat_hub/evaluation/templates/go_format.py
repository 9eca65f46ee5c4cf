"""Formats values as Go's package fmt does, including `printf`. For the rules, see pkg.go.dev/fmt."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from metricat_hub.evaluation.templates.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_VERB = re.compile(r"%(?P<flags>[+\-# 0]*)(?P<width>[0-9]*)(?:\.(?P<precision>[0-9]*))?(?P<verb>.)?", re.DOTALL)
_MOST_WIDTH = 1_000
_DEFAULT_DIGITS = 6
_EXPONENT_FROM = 6
"""`%v` and `%g` use an exponent for numbers from this power of ten."""
_NEVER = 99


def text(value: object) -> str:
    """Format a value as `%v` does."""
    match value:
        case None:
            found = "<nil>"
        case bool():
            found = "true" if value else "false"
        case float():
            found = shortest(value)
        case int() | str():
            found = str(value)
        case datetime():
            found = _time(value)
        case timedelta():
            found = duration(value)
        case dict():
            found = f"map[{' '.join(f'{key}:{text(value[key])}' for key in sorted(value))}]"
        case list():
            found = f"[{' '.join(text(one) for one in value)}]"
        case _:
            raise TemplateError("a sample has no text form; use its .Value or its .Labels")
    return found


def shortest(value: float, exponent_from: int = _EXPONENT_FROM) -> str:
    """Format a number with the fewest digits that parse to it; `exponent_from` is the power of ten for an exponent."""
    if not math.isfinite(value):
        return _not_finite(value)
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, point = _digits(repr(abs(value)))
    if value and not -4 <= point - 1 < exponent_from:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if point < 1 else '+'}{abs(point - 1):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}" if value else f"{sign}0"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _digits(number: str) -> tuple[str, int]:
    """Return the digits of a number as Python writes it, and the place of the point in them."""
    mantissa, _, exponent = number.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = fraction.rstrip("0")
    place = len(whole) + int(exponent or 0)
    digits = whole + fraction
    stripped = digits.lstrip("0")
    return stripped.rstrip("0") or "0", place - (len(digits) - len(stripped))


def significant(value: float, digits: int) -> str:
    """Format a number as `%.Ng` does; N is `digits`."""
    return f"{value:.{max(digits, 1)}g}" if math.isfinite(value) else _not_finite(value)


def duration(value: timedelta) -> str:
    """Format a duration as Go does, for example `1h2m3.5s`."""
    nanoseconds = round(value.total_seconds() * 1e9)
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < 1_000_000_000:
        for unit, size in (("ms", 1_000_000), ("\N{MICRO SIGN}s", 1_000), ("ns", 1)):
            if left >= size:
                return f"{sign}{shortest(left / size, _NEVER)}{unit}"
        return "0s"
    minutes, rest = divmod(left, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{shown}{shortest(rest / 1e9, _NEVER)}s"


def _time(value: datetime) -> str:
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{value:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def kind(value: object) -> str:
    """Return the name of Go's type for a value."""
    names = {bool: "bool", int: "int", float: "float64", str: "string", timedelta: "time.Duration"}
    return names.get(type(value), "map[string]string" if isinstance(value, dict) else type(value).__name__)


def printf(form: str, arguments: Sequence[object]) -> str:
    """Format as Go's `Sprintf`: replace each verb in `form` by an argument."""
    rest = iter(arguments)
    used = 0
    parts = []
    end = 0
    for found in _VERB.finditer(form):
        parts.append(form[end : found.start()])
        end = found.end()
        if found["verb"] is None:
            parts.append("%!(NOVERB)")
        elif found["verb"] == "%":
            parts.append("%")
        elif used == len(arguments):
            parts.append(f"%!{found['verb']}(MISSING)")
        else:
            used += 1
            parts.append(_verb(found, next(rest)))
    parts.append(form[end:])
    return "".join(parts) + _extra(rest)


def _extra(rest: Iterator[object]) -> str:
    extra = ", ".join(f"{kind(one)}={text(one)}" for one in rest)
    return f"%!(EXTRA {extra})" if extra else ""


def _verb(found: re.Match[str], value: object) -> str:
    """Return the text of one verb with its flags, width and precision."""
    flags, verb = found["flags"], found["verb"]
    width = int(found["width"] or 0)
    precision = None if found["precision"] is None else int(found["precision"] or 0)
    if max(width, precision or 0) > _MOST_WIDTH:
        raise TemplateError(f"{found[0]}: width or precision is above the maximum {_MOST_WIDTH}")
    shown = _shown(verb, flags, precision, value)
    if shown is None:
        return f"%!{verb}({kind(value)}={text(value)})"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and verb not in "sq":
        if "+" in flags and shown[0] not in "+-":
            shown = f"+{shown}"
        elif " " in flags and shown[0] != "-":
            shown = f" {shown.removeprefix('+')}"
    if "-" in flags:
        return shown.ljust(width)
    if "0" in flags and is_number and (not isinstance(value, float) or math.isfinite(value)):
        sign = shown[0] if shown[0] in "+- " else ""
        return sign + shown[len(sign) :].rjust(width - len(sign), "0")
    return shown.rjust(width)


def _shown(verb: str, flags: str, precision: int | None, value: object) -> str | None:
    """Return a value as a verb writes it, without padding; None if the verb does not apply to the value."""
    is_whole = (verb == "t" and isinstance(value, bool)) or (verb == "s" and isinstance(value, datetime | timedelta))
    if is_whole or (verb == "v" and not isinstance(value, float)):
        return text(value)
    if isinstance(value, str):
        return _string(verb, precision, value)
    if isinstance(value, float):
        return _float(verb, precision, value)
    return _integer(verb, flags, value) if isinstance(value, int) and not isinstance(value, bool) else None


def _integer(verb: str, flags: str, value: int) -> str | None:
    if verb in {"d", "b", "o"}:
        return format(value, verb)
    if verb in {"x", "X"}:
        return format(value, f"#{verb}" if "#" in flags else verb)
    return chr(value) if verb == "c" and 0 <= value <= 0x10FFFF else None


def _float(verb: str, precision: int | None, value: float) -> str | None:
    if verb not in {"v", "g", "G", "f", "F", "e", "E"}:
        return None
    if not math.isfinite(value):
        return _not_finite(value)
    if verb == "v" and precision is None:
        return shortest(value)
    if verb in {"g", "G", "v"} and precision is None:
        found = shortest(value)
    else:
        digits = _DEFAULT_DIGITS if precision is None else precision
        found = f"{value:.{max(digits, 1) if verb in 'gGv' else digits}{'g' if verb == 'v' else verb.lower()}}"
    return found.upper() if verb.isupper() else found


def _string(verb: str, precision: int | None, value: str) -> str | None:
    cut = value if precision is None else value[:precision]
    match verb:
        case "s":
            return cut
        case "q":
            escaped = cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            return f'"{escaped}"'
        case "x" | "X":
            shown = cut.encode().hex()
            return shown.upper() if verb == "X" else shown
        case _:
            return None
