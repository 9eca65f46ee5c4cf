"""The claims of all targets: the nodes that each selects, and its age.

kopf watches full targets and reports them to the operator one by one, in any order. The ages of all targets must be
known before the first reconcile, so the operator watches them here too.
"""

import time
from collections.abc import Callable, Iterable

from metricat_operator.api.overlap import Claim, by_age, claim, is_older
from metricat_operator.cluster.watch import RECEIVED_AT, kept_metadata
from metricat_operator.facts.model import Manifest


def trim(target: Manifest) -> Manifest:
    """Trim a target to its claim and the arrival time of its state, which shows whether kopf's watch hangs."""
    return {
        "metadata": {**kept_metadata(target), RECEIVED_AT: time.monotonic()},
        "claim": claim(target),
        "managed": bool((target.get("status") or {}).get("conditions")),
    }


def older_claims(targets: Iterable[Manifest], target: Manifest, watches: Callable[[str], bool]) -> tuple[Claim, ...]:
    """Return the claims of all targets older than `target`, the oldest first.

    A target in a namespace that this operator does not watch has a claim only if an operator has written its status.
    Without a status, no operator watches the target, so it has no agents.
    """
    mine = claim(target)
    return tuple(
        by_age(
            one["claim"]
            for one in targets
            if is_older(one["claim"], mine) and (one["managed"] or watches(one["metadata"]["namespace"]))
        )
    )


def has_younger(targets: Iterable[Manifest], target: Manifest) -> bool:
    """Return whether any target is younger than `target`, which may be trimmed already."""
    mine: Claim = target.get("claim") or claim(target)
    return any(is_older(mine, one["claim"]) for one in targets)
