"""The verdict of the long runs: a series that grows fails, and noise does not."""

import random

import pytest

from support.growth import MEMORY, MOST_RISE, Sample, growing, line, picture


def samples(per_hour: float, *, noise: float = 0.0, warm_up: float = 0.0, minutes: int = 20) -> list[Sample]:
    """Return samples of the memory every two seconds; the warm-up is a step at a quarter of the run."""
    source, count = random.Random(1), minutes * 30
    return [
        Sample(
            2.0 * at,
            {MEMORY: 80 + per_hour * at / 1800 + source.gauss(0, noise) + (warm_up if at > count / 4 else 0)},
        )
        for at in range(count)
    ]


def test_growth_of_thirty_mib_an_hour_is_found_in_twenty_minutes() -> None:
    assert growing(samples(30))[MEMORY] == pytest.approx(5, rel=0.01)


def test_slower_growth_is_found_in_a_longer_run() -> None:
    assert growing(samples(6)) == {}
    assert MEMORY in growing(samples(6, minutes=120))


def test_noise_and_warm_up_are_not_growth() -> None:
    assert growing(samples(0, noise=3, warm_up=40)) == {}


def test_shrinking_series_do_not_grow() -> None:
    assert growing(samples(-100)) == {}


def test_few_samples_have_no_verdict() -> None:
    with pytest.raises(AssertionError, match="use a longer run"):
        growing(samples(0)[:10])


def test_rise_per_hour_does_not_depend_on_the_length_of_the_run() -> None:
    assert line(samples(30), MEMORY).hourly == pytest.approx(line(samples(30, minutes=60), MEMORY).hourly)


def test_picture_has_two_curves_for_each_series() -> None:
    made = [Sample(float(at), dict.fromkeys(MOST_RISE, float(at))) for at in range(30)]
    text = picture("a < b", made)
    assert "a &lt; b" in text
    assert text.count("<polyline") == 2 * len(MOST_RISE)
