"""Cases of the alerts about probed endpoints."""

from rules.cases.samples import BOTH, NONE, WARNING, endpoint
from support.promtool import Case

CASES: dict[str, tuple[Case, ...]] = {
    "EndpointDown": (
        Case("down", 5, WARNING, endpoint(failing=1)),
        Case("down for long", 15, BOTH, endpoint(failing=1)),
        Case("one probe of five fails", 30, NONE, endpoint(failing=0.2)),
        Case("up", 30, NONE, endpoint()),
    ),
    "EndpointErrorRateHigh": (
        Case("one of five fails", 40, WARNING, endpoint(failing=0.2)),
        Case("every other fails", 40, BOTH, endpoint(failing=0.5)),
        Case("down, which is another alert", 40, NONE, endpoint(failing=1)),
        Case("up", 40, NONE, endpoint()),
    ),
    "EndpointSlow": (
        Case("slow", 30, WARNING, endpoint(seconds=2.5)),
        Case("near the timeout", 30, BOTH, endpoint(seconds=4.5)),
        Case("slow, but failing", 30, NONE, endpoint(seconds=4.5, failing=1)),
        Case("fast", 30, NONE, endpoint()),
    ),
    "CertificateExpiresSoon": (
        Case("next week", 90, WARNING, endpoint(valid_days=7)),
        Case("tomorrow", 90, BOTH, endpoint(valid_days=1)),
        Case("in two months", 90, NONE, endpoint()),
    ),
}
