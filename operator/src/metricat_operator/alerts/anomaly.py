"""What is unusual for the hour: the last hour beside the same hour of days before, in PromQL only.

It is unusual where it is unlike both the seven days before, of which most are working days, and the same day a week
before: a Saturday is like the Saturday before, and the Monday after a bad Monday is like the days between.

Usual is the median of those days, which one bad day does not move, and the spread around it is their median absolute
deviation, scaled to be a standard deviation where the days are normally distributed (Rousseeuw and Croux 1993). Below a
floor that a person would not look at, nothing is unusual, however steady the node was.
"""

from dataclasses import dataclass

from metricat_operator.alerts.alert import NODE, Alert, Level
from metricat_operator.alerts.recording import KEYS, Recording

DAYS = 7
_ENOUGH_DAYS = 4
_NORMAL = 1.4826
INTERVAL = "5m"
"""How often it is worked out; nothing about an hour changes sooner."""


@dataclass(frozen=True)
class _Watched:
    measure: str
    recorded: str
    floor: float
    """The least spread that is believed, in the measure's own unit."""


_WATCHED = (
    _Watched("CPU usage", "node_cpu_usage:percent", 5),
    _Watched("memory usage", "node_memory_usage:percent", 3),
    _Watched("load per core", "node_load1_per_cpu:ratio", 0.25),
)


def _of(watched: _Watched) -> tuple[Recording, ...]:
    name = f"metricat:{watched.recorded.partition(':')[0]}"
    hour, days, usual, spread, daily, weekly = (
        f"{name}:{what}{{<selector>}}"
        for what in ("hour", "days", "usual", "spread", "daily_deviation", "weekly_deviation")
    )
    week_before = f'max by ({KEYS}) ({name}:days{{day="{DAYS}",<selector>}})'
    before = (f'label_replace({hour} offset {day}d, "day", "{day}", "", "")' for day in range(1, DAYS + 1))
    away = f"abs({days} - on ({KEYS}) group_left () {usual})"
    return (
        Recording(f"{name}:hour", f"avg_over_time(metricat:{watched.recorded}{{<selector>}}[1h])"),
        Recording(f"{name}:days", " or ".join(before)),
        Recording(
            f"{name}:usual",
            f"quantile by ({KEYS}) (0.5, {days}) and on ({KEYS}) (count by ({KEYS}) ({days}) >= {_ENOUGH_DAYS})",
        ),
        Recording(f"{name}:spread", f"clamp_min({_NORMAL} * quantile by ({KEYS}) (0.5, {away}), {watched.floor:g})"),
        Recording(f"{name}:daily_deviation", f"({hour} - on ({KEYS}) {usual}) / on ({KEYS}) {spread}"),
        Recording(f"{name}:weekly_deviation", f"({hour} - on ({KEYS}) {week_before}) / on ({KEYS}) {spread}"),
        # The lesser of both; there is none until there is a week before.
        Recording(
            f"{name}:deviation",
            f"max by ({KEYS}) ({daily} and on ({KEYS}) (abs({weekly}) >= on ({KEYS}) abs({daily})) "
            f"or on ({KEYS}) {weekly})",
        ),
    )


BASELINE: tuple[Recording, ...] = tuple(recording for watched in _WATCHED for recording in _of(watched))

_DEVIATIONS = " or ".join(
    f"label_replace(metricat:{watched.recorded.partition(':')[0]}:deviation{{<selector>}}, "
    f'"measure", "{watched.measure}", "", "")'
    for watched in _WATCHED
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeUnusual",
        meaning="For an hour the node has used far more, or far less, CPU or memory than in the same hour both of the "
        "seven days before and of the same day a week before: by so many of the usual deviations. It needs eight days "
        "of history, and so a Prometheus that keeps more than the default of 24 hours; until then it is silent.",
        expr=f"abs({_DEVIATIONS}) > <threshold>",
        resource="unusual {{ $labels.measure }}",
        summary="{{ $labels.measure }} on {{ $labels.node }} is not what it is at this hour on other days",
        description=f"{{{{ $labels.measure }}}} on {NODE} is "
        '{{ $value | printf "%.1f" }} usual deviations away from what it was in the same hour of the days before '
        "(threshold <threshold>).",
        action="the node's dashboard shows the processes that use most now; ask what has changed since yesterday.",
        unit="deviations",
        levels=(Level("info", 3, "30m"),),
    ),
)
