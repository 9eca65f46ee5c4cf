"""The settings of rules."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError
from metricat_agent.config.yaml_text import YamlError, read_file
from metricat_hub.config.sections import ConfigFileError, Section, items
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from metricat_agent.config.loader import RawSettings

_LEAST, _MOST = 1_000, 3_600_000


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """The rules that the hub evaluates, and the interval in milliseconds."""

    files: tuple[str, ...]
    """Paths of rule files, or patterns with `*`."""
    shipped: bool
    interval: int


def rule_settings(raw: RawSettings) -> RuleSettings:
    """Parse the settings of rules; raise `SettingError` for an invalid value."""
    value = raw.get("rules.interval")
    try:
        interval = parse_duration(value.text)
    except ValueError as error:
        raise value.error(str(error)) from None
    if not _LEAST <= interval <= _MOST:
        raise value.error("outside of 1s to 1h; write for example 30s")
    return RuleSettings(
        (*_in_file(raw.get("config.file").text), *items(raw.get("rules.files"))), raw.is_on("rules.shipped"), interval
    )


def _in_file(path: str) -> tuple[str, ...]:
    """Return the paths and patterns of `rule_files` in the settings file, which are relative to it as in Prometheus."""
    if not path:
        return ()
    try:
        root = read_file(path)
    except YamlError as error:
        raise SettingError(f"{path}: {error}") from None
    if root is None or root.is_null or not isinstance(root.value, dict):
        return ()
    try:
        found = Section(root, "", path, root.value).texts("rule_files")
    except ConfigFileError as error:
        raise SettingError(str(error)) from None
    return tuple(str(Path(path).parent / one) for one in found if one)
