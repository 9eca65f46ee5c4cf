"""All targets, cut to the nodes that each claims and since when.

kopf watches whole targets, and hands them over one by one as it likes. Who is older has to be known of all of them
before the first is worked on; so they are watched here, too, as everything else is.
"""

import time
from collections.abc import Iterable

from metricat_operator.api.overlap import Claim, by_age, claim, is_older
from metricat_operator.cluster.watch import RECEIVED_AT, kept_metadata
from metricat_operator.facts.model import Manifest


def trim(target: Manifest) -> Manifest:
    """What the cache keeps of a target; with the time, for kopf must tell of that state soon, or it hangs."""
    return {"metadata": {**kept_metadata(target), RECEIVED_AT: time.monotonic()}, "claim": claim(target)}


def older(targets: Iterable[Manifest], target: Manifest) -> tuple[Claim, ...]:
    """The claims of those targets that are older than this one, the oldest first."""
    mine = claim(target)
    return tuple(by_age(one["claim"] for one in targets if is_older(one["claim"], mine)))


def has_younger(targets: Iterable[Manifest], target: Manifest) -> bool:
    """Whether any of them is younger than this one, which may be cut already."""
    mine: Claim = target.get("claim") or claim(target)
    return any(is_older(mine, one["claim"]) for one in targets)
