"""Which scrapes the server of pages counts as missed."""

from metricat_tools.bench.hub.pages import Requests


def test_missed_scrapes_are_intervals_without_a_request() -> None:
    requests = Requests(10)
    for now in (0, 10, 24, 30, 60):
        requests.add("hub", b"/1", now)
    for now in (5, 15, 25, 36, 45, 55):
        requests.add("hub", b"/2", now)
    assert requests.scrapes == {"hub": 11}
    assert requests.missed(64) == {"hub": 2}
    assert requests.missed(74) == {"hub": 3}
    assert requests.missed(76) == {"hub": 4}
