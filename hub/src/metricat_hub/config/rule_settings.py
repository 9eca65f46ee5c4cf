"""The settings of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from metricat_agent.config.loader import RawSettings

_LEAST, _MOST = 1_000, 3_600_000


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Which rules the hub evaluates, and how often. The interval is in milliseconds."""

    files: tuple[str, ...]
    """Paths or patterns of rule files."""
    shipped: bool
    interval: int


def rule_settings(raw: RawSettings) -> RuleSettings:
    """Return the settings; raise `SettingError`."""
    value = raw.get("rules.interval")
    try:
        interval = parse_duration(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if not _LEAST <= interval <= _MOST:
        raise value.error(f"{'too short' if interval < _LEAST else 'too long'}; write for example 30s")
    files = tuple(one.strip() for one in raw.get("rules.files").text.split(",") if one.strip())
    return RuleSettings(files, raw.is_on("rules.shipped"), interval)
