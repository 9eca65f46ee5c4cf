"""Functions and operators that compute each value separately: `abs`, `clamp`, `day_of_week`, `+`, `>` and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Values
    from metricat_hub.promql.vector import Mask

_SECONDS_LIMIT: Final = 8.64e15
"""The largest time in seconds with a date in numpy. Date functions return NaN for larger times."""


def greater(left: Values, right: Values) -> Values:
    """Return the greater values, as Go's `math.Max`: +Inf takes precedence over NaN, and NaN over numbers."""
    return np.where((left == np.inf) | (right == np.inf), np.inf, np.maximum(left, right))


def lesser(left: Values, right: Values) -> Values:
    """Return the lesser values, as Go's `math.Min`: -Inf takes precedence over NaN, and NaN over numbers."""
    return np.where((left == -np.inf) | (right == -np.inf), -np.inf, np.minimum(left, right))


def clamped(values: Values, low: Values, high: Values) -> Values:
    """Clamp values between `low` and `high`."""
    return greater(low, lesser(high, values))


def rounded(values: Values, nearest: Values) -> Values:
    """Return the values rounded to multiples of `nearest`, ties upwards."""
    inverse = 1.0 / nearest
    return np.floor(values * inverse + 0.5) / inverse


def _sign(values: Values) -> Values:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


MATH: Final[dict[str, Callable[[Values], Values]]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": lambda values: values * 180 / np.pi,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda values: values * np.pi / 180,
    "sgn": _sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}


def _dates(values: Values, part: Callable[[NDArray[Any]], NDArray[Any]]) -> Values:
    """Return a part of the UTC dates of Unix times in seconds."""
    valid = np.abs(values) < _SECONDS_LIMIT
    seconds = np.trunc(np.where(valid, values, 0.0)).astype(np.int64).astype("datetime64[s]")
    return np.where(valid, part(seconds).astype(np.float64), np.nan)


def _month_start(seconds: NDArray[Any]) -> NDArray[Any]:
    return seconds.astype("datetime64[M]")


def _day(seconds: NDArray[Any]) -> NDArray[Any]:
    return seconds.astype("datetime64[D]")


DATES: Final[dict[str, Callable[[NDArray[Any]], NDArray[Any]]]] = {
    "day_of_month": lambda s: (_day(s) - _month_start(s).astype("datetime64[D]")).astype(np.int64) + 1,
    "day_of_week": lambda s: (_day(s).astype(np.int64) + 4) % 7,  # 1970-01-01 was a Thursday
    "day_of_year": lambda s: (_day(s) - s.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) + 1,
    "days_in_month": lambda s: (
        (_month_start(s) + 1).astype("datetime64[D]") - _month_start(s).astype("datetime64[D]")
    ).astype(np.int64),
    "hour": lambda s: s.astype(np.int64) // 3600 % 24,
    "minute": lambda s: s.astype(np.int64) // 60 % 60,
    "month": lambda s: _month_start(s).astype(np.int64) % 12 + 1,
    "year": lambda s: s.astype("datetime64[Y]").astype(np.int64) + 1970,
}


def date_part(name: str, values: Values) -> Values:
    """Return a part of the UTC date of each Unix time, such as its month."""
    return _dates(values, DATES[name])


def operation(operator: str) -> Callable[[Values, Values], Any]:
    """Return the function of an arithmetic operator or a comparison."""
    return _ARITHMETIC.get(operator) or _COMPARISONS[operator]


def arithmetic(operator: str, left: Values, right: Values) -> Values:
    """Return the result of an arithmetic operator."""
    return _ARITHMETIC[operator](left, right)


def compared(operator: str, left: Values, right: Values) -> Mask:
    """Return for each pair whether the comparison holds."""
    return _COMPARISONS[operator](left, right)


_ARITHMETIC: Final[dict[str, Callable[[Values, Values], Values]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: Final[dict[str, Callable[[Values, Values], Mask]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
