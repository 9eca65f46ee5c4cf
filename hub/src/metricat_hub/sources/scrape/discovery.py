"""Targets from the files in ``file_sd_configs``. All methods block."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_agent.config.yaml_text import YamlError, read_file
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.sources.scrape.config_file import parse_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.sources.scrape.config import Job, TargetGroup

_LOG = logging.getLogger(__name__)
_State = tuple[int, int, int]


class FileGroups:
    """The target groups in discovery files. If a file becomes invalid, its previous groups stay in use."""

    def __init__(self) -> None:
        self._groups: dict[str, tuple[TargetGroup, ...]] = {}
        self._states: dict[str, _State] = {}
        self.failures = 0
        """Number of invalid files, counted once for each change of a file."""

    def refresh(self, jobs: Sequence[Job]) -> bool:
        """Read files that changed; return whether any groups changed."""
        present = dict.fromkeys(file for job in jobs for file in files_of(job))
        before = dict(self._groups)
        for file in self._groups.keys() - present.keys():
            del self._groups[file]
            self._states.pop(file, None)
        for file in present:
            self._read(file)
        return self._groups != before

    def groups(self, job: Job) -> list[TargetGroup]:
        """Return the target groups of a job, static ones first."""
        return [*job.static_groups, *(group for file in files_of(job) for group in self._groups.get(file, ()))]

    def _read(self, file: str) -> None:
        try:
            status = Path(file).stat()
        except OSError:
            self._groups.pop(file, None)
            self._states.pop(file, None)
            return
        state = (status.st_mtime_ns, status.st_size, status.st_ino)
        if self._states.get(file) == state:
            return
        self._states[file] = state
        try:
            self._groups[file] = parse_groups(read_file(file), file)
        except (YamlError, ConfigFileError) as error:
            self.failures += 1
            _LOG.error("%s; the targets that the file had before are kept", _with_file(str(error), file))


def _with_file(message: str, file: str) -> str:
    return message if message.startswith(file) else f"{file}: {message}"


def files_of(job: Job) -> list[str]:
    """Return the distinct existing files of a job."""
    found: dict[str, None] = {}
    for discovery in job.file_discoveries:
        for pattern in discovery.files:
            path = Path(pattern)
            found.update(dict.fromkeys(map(str, sorted(path.parent.glob(path.name)))))
    return list(found)
