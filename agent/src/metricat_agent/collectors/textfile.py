"""Metrics of other programs, from ``.prom`` files in Prometheus' text format.

An unusable file does not affect other files; the agent logs its name. The agent's own families take precedence over
families of the same name in files. If a file lacks the help text or type of a family, those of another file apply.
"""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption
from metricat_agent.exposition.model import BOUNDS, Family, Metrics, Sample, gauge, single
from metricat_agent.exposition.parser import PART, Exposition, FormatError, Series, families
from metricat_agent.exposition.parser import parse as parse_text
from metricat_agent.host.cached_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERROR = gauge("node_textfile_scrape_error", "Whether a file or directory could not be used: 1 if so, 0 if not.")
MTIME = gauge("node_textfile_mtime_seconds", "Modification time of a file, in seconds since 1970 (UTC).", "file")
_LOG = logging.getLogger(__name__)
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One file or directory: its path and modification time, and its text or the reason why it is unusable."""

    path: str
    written: float
    text: str = ""
    error: str = ""


def read(directories: Iterable[str]) -> list[File]:
    """Return the files of each directory in alphabetical order, and each missing directory as a `File` with error."""
    found = []
    for directory in expanded(directories):
        try:
            names = sorted(os.listdir(directory))  # noqa: PTH208 -- paths are strings here
        except OSError as error:
            found.append(File(directory, 0, error=str(error.strerror)))
            continue
        found += [_file(f"{directory.rstrip('/')}/{name}") for name in names if name.endswith(".prom")]
    return found


def expanded(directories: Iterable[str]) -> list[str]:
    """Return each directory once, with patterns expanded. A pattern without a match stays, and `read` reports it."""
    found: list[str] = []
    for directory in directories:
        if any(sign in directory for sign in "*?["):
            from glob import glob  # noqa: PLC0415 -- only needed with patterns

            found += sorted(glob(directory)) or [directory]  # noqa: PTH207 -- as below
        else:
            found.append(directory)
    return list({directory.rstrip("/") or "/": None for directory in found})


def _file(path: str) -> File:
    try:
        state = os.stat(path)  # noqa: PTH116 -- as above
        if not stat.S_ISREG(state.st_mode):
            return File(path, 0, error="not a regular file")  # opening a pipe would wait for its writer
        if state.st_size > _LARGEST:
            return File(path, 0, error=f"larger than {_LARGEST >> 20} MiB")
        return File(path, state.st_mtime, read_text(path))
    except OSError as error:
        return File(path, 0, error=str(error.strerror))


def parse(files: Iterable[File]) -> Metrics:
    """Return the metrics of all usable files."""
    return merge(files)[0]


def merge(files: Iterable[File]) -> tuple[Metrics, dict[str, str]]:
    """Return the metrics of all files, and the errors by path.

    A family may be spread over several files, unless two of them have different types or help texts. A family is left
    out if an earlier file has one of its series, or if an earlier family has one of its names.
    """
    errors: dict[str, str] = {}
    parsed: list[tuple[str, Exposition]] = []
    times: list[Sample] = []
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for file in files:
        try:
            if file.error:
                raise FormatError(file.error)  # noqa: TRY301 -- reported like the others
            found = parse_text(file.text)
        except FormatError as error:
            errors[file.path] = str(error)
            continue
        parsed.append((file.path, found))
        times.append(((file.path,), file.written))
        helps = found.helps | helps
        kinds = found.kinds | kinds
    known: dict[str, tuple[Family, dict[Series, float]]] = {}
    names: dict[str, str] = {}
    for path, found in parsed:
        for family, series in families(found, helps | found.helps, kinds | found.kinds):
            if conflict := _conflict(family, series, known.get(family.name), names):
                errors[path] = conflict
                continue
            names.update(dict.fromkeys(family.page_names, family.name))
            known.setdefault(family.name, (family, {}))[1].update(series)
    metrics = [_metric(family, series) for family, series in known.values()]
    return [*metrics, (MTIME, times), single(ERROR, int(bool(errors)))], errors


def _conflict(
    family: Family,
    series: Mapping[Series, float],
    known: tuple[Family, Mapping[Series, float]] | None,
    names: Mapping[str, str],
) -> str:
    """Return why the page cannot have both a family of a file and the families before it; empty if it can."""
    if known is None:
        name = next((name for name in family.page_names if name in names), "")
        return f"{family.name} has the name {name}, which is part of {names[name]}" if name else ""
    if known[0] != family:
        return f"{family.name} has a different type or help text in another file"
    return f"{family.name} has a series that is also in another file" if known[1].keys() & series.keys() else ""


def _metric(family: Family, series: Mapping[Series, float]) -> tuple[Family, list[Sample]]:
    """Give all series of a family the same labels. Prometheus treats an empty label like a missing one."""
    if family.kind in BOUNDS:
        return _compound(family, series)
    labels = tuple(dict.fromkeys(label for key in series for label, _ in key))
    shown = replace(family, labels=labels)
    return shown, [(tuple(dict(key).get(label, "") for label in labels), value) for key, value in series.items()]


def _compound(family: Family, series: Mapping[Series, float]) -> tuple[Family, list[Sample]]:
    """Give all series of a histogram or summary the same labels. Order its buckets by bound, then sum and count."""
    bound = BOUNDS[family.kind]
    names = tuple(dict.fromkeys(label for key in series for label, _ in key if label not in (PART, bound)))
    groups: dict[tuple[str, ...], list[tuple[str, str, float]]] = {}
    for key, value in series.items():
        named = dict(key)
        group = groups.setdefault(tuple(named.get(label, "") for label in names), [])
        group.append((named.get(bound, ""), named[PART], value))
    samples = [
        ((*group, limit, part), value)
        for group, parts in groups.items()
        for limit, part, value in sorted(parts, key=lambda row: (row[0] == "", float(row[0] or 0)))
    ]
    return replace(family, labels=(*names, bound)), samples


def parse_directories(text: str) -> tuple[str, ...]:
    """Return the directories in a text with one directory a line."""
    return tuple(filter(None, text.split("\n")))


DIRECTORY = CollectorOption(
    *("directory", "", "directory of .prom files; may be repeated, and may be a pattern with *", "DIR"),
    many=True,
    parse=parse_directories,
)


class TextFiles(Collector):
    """Metrics that other programs of the node write to files."""

    name = "textfile"
    summary = "metrics of other programs, from .prom files"
    families = (ERROR, MTIME)
    yields_to_others = True
    options = (DIRECTORY,)

    def setup(self) -> None:
        """Start without logged errors."""
        self._logged: dict[str, str] = {}

    def collect(self) -> Metrics:
        """Return the metrics of all .prom files; without a directory, only the error gauge, which is 0."""
        return self.parse_if_changed(read(self.option(DIRECTORY)), self._merged)

    def _merged(self, files: Iterable[File]) -> Metrics:
        """Return the metrics of the files. Log new errors."""
        metrics, errors = merge(files)
        for path, error in errors.items():
            if self._logged.get(path) != error:
                _LOG.warning("textfile: %s cannot be used: %s", path, error)
        self._logged = errors
        return metrics
