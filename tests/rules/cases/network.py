"""Cases of the alerts about network devices and connections."""

from __future__ import annotations

from rules.cases.samples import BOTH, NONE, WARNING, bandwidth, bond, conntrack, flapping, network
from support.promtool import Case

CASES: dict[str, tuple[Case, ...]] = {
    "NodeNetworkBandwidthHigh": (
        Case("nearly full", 10, WARNING, bandwidth(85)),
        Case("full, the other way", 10, BOTH, bandwidth(97, way="transmit")),
        Case("below threshold", 30, NONE, bandwidth(70)),
        Case("speed unknown", 30, NONE, bandwidth(97, speed=None)),
        Case("speed of -1", 30, NONE, bandwidth(97, speed=-1)),
        Case("speed of 0", 30, NONE, bandwidth(97, speed=0)),
        Case("no physical link", 30, NONE, bandwidth(97, device="br-1a2b")),
    ),
    "NodeNetworkDropsHigh": (
        Case("drops", 20, WARNING, network("drop", 2, 100)),
        Case("drops, the other way", 20, WARNING, network("drop", 2, 100, "transmit")),
        Case("drops few", 30, NONE, network("drop", 0.5, 100)),
        Case(
            "a tunnel",
            30,
            NONE,
            {name.replace("eth0", "flannel.1"): values for name, values in network("drop", 2, 100).items()},
        ),
        Case("few packets", 30, NONE, network("drop", 2, 5)),
        Case(
            "few packets one way, many the other",
            30,
            NONE,
            {**network("drop", 0, 1000), **network("drop", 1, 5, "transmit")},
        ),
    ),
    "NodeNetworkErrorsHigh": (
        Case("broken", 20, WARNING, network("errs", 2, 100)),
        Case("few broken", 30, NONE, network("errs", 0.5, 100)),
        Case("few packets", 30, NONE, network("errs", 2, 5)),
        Case("no packets", 30, NONE, network("errs", 2, 0)),
    ),
    "NodeConntrackHigh": (
        Case("nearly full", 10, WARNING, conntrack(80)),
        Case("full", 10, BOTH, conntrack(95)),
        Case("below threshold", 30, NONE, conntrack(70)),
    ),
    "NodeBondDegraded": (
        Case("one down", 10, WARNING, bond(2, 1)),
        Case("not for long enough", 4, NONE, bond(2, 1)),
        Case("whole", 30, NONE, bond(2, 2)),
    ),
    "NodeInterfaceFlapping": (
        Case("flaps", 10, WARNING, flapping(4)),
        Case("twice in 2 minutes", 30, NONE, flapping(1)),
        Case("no physical link", 30, NONE, flapping(4, device="veth1")),
    ),
}
