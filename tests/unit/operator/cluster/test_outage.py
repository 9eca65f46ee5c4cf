"""An outage is reported after it has lasted, and logged once."""

from structlog.testing import capture_logs

from metricat_operator.cluster.outage import Outage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_a_lasting_outage_is_reported() -> None:
    clock = Clock()
    outage = Outage("list Node", clock)
    assert not outage.lasting(0)
    outage.failed("no response")
    clock.now = 9.0
    outage.failed("HTTP 503")
    assert not outage.lasting(10)
    clock.now = 10.0
    assert outage.lasting(10) == "cannot list Node: HTTP 503"
    outage.ended()
    assert not outage.lasting(0)


def test_outage_ends_when_the_operation_is_not_retried_any_longer() -> None:
    clock = Clock()
    outage = Outage("write any object", clock)
    for clock.now in (0.0, 80.0):
        outage.failed("HTTP 503")
    assert outage.lasting(10)
    clock.now = 171.0
    assert not outage.lasting(10)
    outage.failed("HTTP 503")
    assert outage.failures == 1
    assert not outage.lasting(10)


def test_outage_is_logged_at_its_start_its_end_and_when_its_cause_changes() -> None:
    outage = Outage("list Node")
    with capture_logs() as logged:
        for status in (503, 503, 503, 401):
            outage.failed("error", status=status)
        outage.ended()
        outage.ended()
    assert [(one["log_level"], one.get("status"), one.get("failures")) for one in logged] == [
        ("warning", 503, None),
        ("warning", 401, None),
        ("info", None, 4),
    ]


def test_expected_failure_is_logged_only_when_it_repeats() -> None:
    outage = Outage("list Node")
    with capture_logs() as logged:
        outage.failed("expired", expected=True, status=410)
        outage.ended()
        assert logged == []
        outage.failed("expired", expected=True, status=410)
        outage.failed("expired", expected=True, status=410)
    assert len(logged) == 1
