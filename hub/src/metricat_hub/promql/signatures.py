"""The functions and aggregation operators of PromQL, with the types of their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from metricat_hub.promql.nodes import Kind

_KINDS: Final[dict[str, Kind]] = {"v": "vector", "m": "matrix", "s": "scalar", "t": "string"}


@dataclass(frozen=True, slots=True)
class Signature:
    """Types of a function's arguments.

    The last `optional` arguments may be missing. The last argument may occur `repeated` more times.
    """

    arguments: tuple[Kind, ...]
    optional: int = 0
    repeated: int = 0

    @property
    def least(self) -> int:
        """The least number of arguments."""
        return len(self.arguments) - self.optional

    @property
    def most(self) -> int:
        """The greatest number of arguments."""
        return len(self.arguments) + self.repeated


_MANY = 1000
_FORMS: Final = {
    "": "time pi start end range step",
    "v": "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count"
    " histogram_sum histogram_stddev histogram_stdvar ln log10 log2 rad scalar sgn sin sinh sort sort_desc sqrt"
    " start_timestamp tan tanh timestamp",
    "v?": "days_in_month day_of_month day_of_week day_of_year hour minute month year",
    "m": "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate"
    " last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time"
    " stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time"
    " ts_of_min_over_time",
    "s": "vector",
    "ss": "max_of min_of",
    "vss": "clamp",
    "vs": "clamp_max clamp_min",
    "vs?": "round",
    "sv": "histogram_quantile",
    "ssv": "histogram_fraction",
    "vts*": "histogram_quantiles",
    "mss": "double_exponential_smoothing",
    "ms": "predict_linear",
    "sm": "quantile_over_time",
    "vv?": "info",
    "vtttt": "label_replace",
    "vttt?*": "label_join",
    "vt?*": "sort_by_label sort_by_label_desc",
}


def _signature(form: str) -> Signature:
    kinds = tuple(_KINDS[letter] for letter in form if letter in _KINDS)
    repeated = 0
    if "*" in form:
        repeated = 9 if form == "vts*" else _MANY
    return Signature(kinds, optional=int("?" in form), repeated=repeated)


FUNCTIONS: Final = {name: _signature(form) for form, names in _FORMS.items() for name in names.split()}
AGGREGATIONS: Final[dict[str, Kind | None]] = {
    **dict.fromkeys(("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar")),
    **dict.fromkeys(("topk", "bottomk", "quantile", "limitk", "limit_ratio"), "scalar"),
    "count_values": "string",
}
"""Each aggregation operator and the type of its parameter."""
