"""Values that are unusual for the hour: the last hour compared with the same hour of earlier days, in PromQL only.

A value is unusual if it differs both from the seven days before and from the same day a week before. Most of the seven
days are working days. So a Saturday is compared with the Saturday before, and the Monday after a bad Monday with the
days between.

The usual value is the median of those days, which one bad day does not change. The spread is their median absolute
deviation, scaled to a standard deviation of normally distributed days (Rousseeuw and Croux 1993). The spread has a
floor: smaller differences are never unusual, however steady the node was. See docs/design/0018.
"""

from dataclasses import dataclass

from metricat_rules.alert import NODE, Alert, Level
from metricat_rules.recording import KEYS, Recording

DAYS = 7
_ENOUGH_DAYS = 4
_NORMAL = 1.4826
INTERVAL = "5m"
"""Evaluation interval; averages over an hour do not change faster."""


@dataclass(frozen=True)
class BaselineMeasure:
    """A measure whose usual values the shipped rules record: its name, the recorded series and the smallest spread."""

    measure: str
    recorded: str
    floor: float
    """The smallest spread, in the measure's unit."""


BASELINE_MEASURES = (
    BaselineMeasure("CPU usage", "node_cpu_usage:percent", 5),
    BaselineMeasure("memory usage", "node_memory_usage:percent", 3),
    BaselineMeasure("load per core", "node_load1_per_cpu:ratio", 0.25),
)


def baseline_rules(recorded: str, floor: float, keys: str = KEYS) -> tuple[Recording, ...]:
    """Return the recording rules of a measure, in the order of their evaluation.

    Args:
        recorded: the name of the recorded series, without `metricat:`.
        floor: the smallest spread, in the unit of the measure.
        keys: the labels that identify a series of the measure.
    """
    name = f"metricat:{recorded.partition(':')[0]}"
    hour, days, usual, spread, daily, weekly = (
        f"{name}:{what}{{<selector>}}"
        for what in ("hour", "days", "usual", "spread", "daily_deviation", "weekly_deviation")
    )
    week_before = f'max by ({keys}) ({name}:days{{day="{DAYS}",<selector>}})'
    before = (f'label_replace({hour} offset {day}d, "day", "{day}", "", "")' for day in range(1, DAYS + 1))
    away = f"abs({days} - on ({keys}) group_left () {usual})"
    return (
        Recording(f"{name}:hour", f"avg_over_time(metricat:{recorded}{{<selector>}}[1h])"),
        Recording(f"{name}:days", " or ".join(before)),
        Recording(
            f"{name}:usual",
            f"quantile by ({keys}) (0.5, {days}) and on ({keys}) (count by ({keys}) ({days}) >= {_ENOUGH_DAYS})",
        ),
        Recording(f"{name}:spread", f"clamp_min({_NORMAL} * quantile by ({keys}) (0.5, {away}), {floor:.12g})"),
        Recording(f"{name}:daily_deviation", f"({hour} - on ({keys}) {usual}) / on ({keys}) {spread}"),
        Recording(f"{name}:weekly_deviation", f"({hour} - on ({keys}) {week_before}) / on ({keys}) {spread}"),
        # The smaller of both; absent until there is a week of history.
        Recording(
            f"{name}:deviation",
            f"max by ({keys}) ({daily} and on ({keys}) (abs({weekly}) >= on ({keys}) abs({daily})) "
            f"or on ({keys}) {weekly})",
        ),
    )


BASELINE: tuple[Recording, ...] = tuple(
    recording for watched in BASELINE_MEASURES for recording in baseline_rules(watched.recorded, watched.floor)
)

_DEVIATIONS = " or ".join(
    f"label_replace(metricat:{watched.recorded.partition(':')[0]}:deviation{{<selector>}}, "
    f'"measure", "{watched.measure}", "", "")'
    for watched in BASELINE_MEASURES
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeUnusual",
        meaning="CPU usage, memory usage or load per core, averaged over the last hour, is unusual. It is far from "
        "the median of the same hour on the seven days before, and from its value in the same hour a week before. "
        "The threshold is a number of standard deviations, estimated from those days. The alert fires only "
        "with more than a week of history. The Prometheus Operator's default retention of 24 hours is too short.",
        expr=f"abs({_DEVIATIONS}) > <threshold>",
        resource="unusual {{ $labels.measure }}",
        summary="{{ $labels.measure }} on {{ $labels.node }} is unusual for this hour",
        description=f"{{{{ $labels.measure }}}} on {NODE} differs "
        'by {{ $value | printf "%.1f" }} standard deviations from the median of this hour on the days before '
        "(threshold <threshold>).",
        action="On the dashboard Processes, find the processes of the node that use the most CPU and memory. Find what "
        "changed since yesterday.",
        unit="deviations",
        levels=(Level("info", 3, "30m"),),
    ),
)
