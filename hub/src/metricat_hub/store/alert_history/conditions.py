"""SQL conditions for filters of episodes. Every value is a parameter of the statement."""

# ruff: noqa: S608 -- see above

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from metricat_hub.model.alert_history import EpisodeFilter

EPISODES = "FROM alert_episodes"


def conditions(wanted: EpisodeFilter) -> tuple[str, list[object]]:
    """Return the SQL condition for a filter of episodes, and its parameters."""
    texts = ["started <= ?", "(resolved IS NULL OR resolved >= ?)"]
    parameters: list[object] = [wanted.end, wanted.start]
    for column, values in (
        ("state", wanted.states),
        ("name", wanted.names),
        ("node", wanted.nodes),
        ("severity", wanted.severities),
        ("fingerprint", wanted.fingerprints),
    ):
        if values:
            texts.append(f"{column} IN ({places(values)})")
            parameters += values
    if wanted.namespaces is not None:
        texts.append(f"namespace IN ({places(wanted.namespaces)})")
        parameters += sorted(wanted.namespaces)
    if wanted.receivers:
        texts.append(
            "EXISTS (SELECT 1 FROM alert_events sent WHERE sent.episode = alert_episodes.number "
            f"AND sent.kind = 'notified' AND sent.receiver IN ({places(wanted.receivers)}))"
        )
        parameters += wanted.receivers
    return " AND ".join(texts), parameters


def places(values: Collection[object]) -> str:
    """Return SQL placeholders for the values of a list; for an empty list, an expression that equals no value."""
    return ", ".join("?" * len(values)) or "NULL"
