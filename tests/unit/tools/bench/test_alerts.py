"""What counts as found, missed, and crying wolf, and how soon; and scenarios that are what they say."""

import random

import pytest

from metricat_cli.episodes import Episode
from metricat_tools.bench import history, recorded, synthetic
from metricat_tools.bench.alerts import Score, Table
from metricat_tools.bench.history import Replay
from metricat_tools.bench.synthetic import BEGIN, FILE_SYSTEMS, MEMORY, Scenario

WRONG = Scenario("wrong", lambda _: 50, ((10, 20), (30, 40)))


def table(*, ahead: bool = False, grace: float = 3600) -> Table:
    return Table("t", Replay((WRONG,), history.MEMORY, 2, "x"), {}, grace, ahead)


def fired(*hours: tuple[float, float]) -> list[Episode]:
    return [Episode(BEGIN + 3600 * first, BEGIN + 3600 * last) for first, last in hours]


@pytest.mark.parametrize(
    ("episodes", "score"),
    [
        ([], Score(missed=2)),
        ([(12, 13), (31, 32)], Score(found=2, right=2, hours=[2, 1])),
        ([(5, 11)], Score(found=1, missed=1, right=1, hours=[0])),
        ([(12, 13), (14, 15)], Score(found=1, missed=1, right=2, hours=[2])),
        ([(8, 35)], Score(found=2, right=1, hours=[0, 0])),
        ([(20.5, 22)], Score(found=1, missed=1, right=1, hours=[10.5])),
        ([(22, 24), (50, 51)], Score(missed=2, cried=2)),
    ],
)
def test_found_missed_right_and_cried(episodes: list[tuple[float, float]], score: Score) -> None:
    assert table()._judge(WRONG, fired(*episodes)) == score


def test_what_will_be_is_told_before_it_is() -> None:
    score = table(ahead=True, grace=0)._judge(WRONG, fired((12, 13), (40, 41)))
    assert score == Score(found=1, missed=1, right=1, cried=1, hours=[8])


def test_a_cell_and_a_sum() -> None:
    score = Score(found=3, missed=1, right=3, cried=1, hours=[1, 2, 9])
    assert (score.cell(), score.sum()) == ("3/4 (2.0 h), 1", "0.75, 0.75")
    assert (Score().cell(), Score().sum()) == ("0/0, 0", "-, -")


@pytest.mark.parametrize("scenario", [*MEMORY, *FILE_SYSTEMS], ids=lambda scenario: scenario.name)
def test_a_scene_stays_within_bounds_and_says_what_is_wrong_within_its_days(scenario: Scenario) -> None:
    noise = random.Random(1)
    hours = range(24 * synthetic.DAYS)
    assert all(0 < scenario.percent(hour, noise) < 100 for hour in hours)
    assert all(0 <= begin < end <= 24 * synthetic.DAYS for begin, end in scenario.wrong)


def test_a_file_system_that_fills_is_full_where_what_is_wrong_ends() -> None:
    for scenario in FILE_SYSTEMS:
        for begin, end in scenario.wrong:
            assert scenario.shape(end) >= 99 > scenario.shape(end - 1)
            assert end - begin <= 168
            assert scenario.shape(end + 6) < 60


def test_the_recorded_disk_lasts_as_long_as_it_is_played() -> None:
    for scenario in recorded.builds():
        percents = [scenario.shape(hour / 12) for hour in range(24 * 12 * recorded.BUILDS_DAYS)]
        assert min(percents) > 50
        assert max(percents) < 95
