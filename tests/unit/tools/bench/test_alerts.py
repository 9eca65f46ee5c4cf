"""Scores of the alerts benchmark, and properties of its scenarios."""

import random

import pytest

from metricat_cli.episodes import Episode
from metricat_tools.bench import history, recorded, synthetic
from metricat_tools.bench.alerts import Score, Table
from metricat_tools.bench.history import Replay
from metricat_tools.bench.synthetic import BEGIN, FILESYSTEMS, MEMORY, Scenario

WRONG = Scenario("wrong", lambda _: 50, ((10, 20), (30, 40)))


def table(*, ahead: bool = False, grace: float = 3600) -> Table:
    return Table("t", Replay((WRONG,), history.MEMORY, 2, "x"), {}, grace, ahead)


def fired(*hours: tuple[float, float]) -> list[Episode]:
    return [Episode(BEGIN + 3600 * first, BEGIN + 3600 * last) for first, last in hours]


@pytest.mark.parametrize(
    ("episodes", "score"),
    [
        ([], Score(missed=2)),
        ([(12, 13), (31, 32)], Score(found=2, true_positives=2, hours=[2, 1])),
        ([(5, 11)], Score(found=1, missed=1, true_positives=1, hours=[0])),
        ([(12, 13), (14, 15)], Score(found=1, missed=1, true_positives=2, hours=[2])),
        ([(8, 35)], Score(found=2, true_positives=1, hours=[0, 0])),
        ([(20.5, 22)], Score(found=1, missed=1, true_positives=1, hours=[10.5])),
        ([(22, 24), (50, 51)], Score(missed=2, false_positives=2)),
    ],
)
def test_score_counts_found_problems_and_false_alerts(episodes: list[tuple[float, float]], score: Score) -> None:
    assert table()._judge(WRONG, fired(*episodes)) == score


def test_prediction_counts_hours_before_the_end() -> None:
    score = table(ahead=True, grace=0)._judge(WRONG, fired((12, 13), (40, 41)))
    assert score == Score(found=1, missed=1, true_positives=1, false_positives=1, hours=[8])


def test_cell_and_sum_are_formatted() -> None:
    score = Score(found=3, missed=1, true_positives=3, false_positives=1, hours=[1, 2, 9])
    assert (score.cell(), score.sum()) == ("3/4 (2.0 h), 1", "0.75, 0.75")
    assert (Score().cell(), Score().sum()) == ("0/0, 0", "-, -")


@pytest.mark.parametrize("scenario", [*MEMORY, *FILESYSTEMS], ids=lambda scenario: scenario.name)
def test_scenario_and_its_problems_are_within_bounds(scenario: Scenario) -> None:
    noise = random.Random(1)
    hours = range(24 * synthetic.DAYS)
    assert all(0 < scenario.percent(hour, noise) < 100 for hour in hours)
    assert all(0 <= begin < end <= 24 * synthetic.DAYS for begin, end in scenario.problems)


def test_filesystem_is_full_at_the_end_of_its_problem() -> None:
    for scenario in FILESYSTEMS:
        for begin, end in scenario.problems:
            assert scenario.shape(end) >= 99 > scenario.shape(end - 1)
            assert end - begin <= 168
            assert scenario.shape(end + 6) < 60


def test_recorded_disk_covers_the_whole_replay() -> None:
    for scenario in recorded.build_machine_scenarios():
        percents = [scenario.shape(hour / 12) for hour in range(24 * 12 * recorded.BUILDS_DAYS)]
        assert min(percents) > 50
        assert max(percents) < 95
