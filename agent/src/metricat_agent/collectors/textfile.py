"""Metrics of others: the ``.prom`` files of directories, in Prometheus' text format.

A file that cannot be read or parsed costs only itself, and is named in the log. Families that the agent has itself
yield to the agent's.
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
from metricat_agent.exposition.parser import PART, FormatError, Series, families
from metricat_agent.host.cached_files import read_text

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

ERROR = gauge("node_textfile_scrape_error", "1 if a file could not be used, else 0.")
MTIME = gauge("node_textfile_mtime_seconds", "When a file was written, in seconds since 1970 (UTC).", "file")
_LOG = logging.getLogger(__name__)
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class File:
    """One file (or directory): where it is, when it was written, what it says, or why it cannot be used."""

    path: str
    written: float
    text: str = ""
    why: str = ""


def read(directories: Iterable[str]) -> list[File]:
    """Read all files, sorted; a directory that is missing is an error of its own."""
    found = []
    for directory in expanded(directories):
        try:
            names = sorted(os.listdir(directory))  # noqa: PTH208 -- texts everywhere else
        except OSError as error:
            found.append(File(directory, 0, why=str(error.strerror)))
            continue
        found += [_file(f"{directory.rstrip('/')}/{name}") for name in names if name.endswith(".prom")]
    return found


def expanded(directories: Iterable[str]) -> list[str]:
    """Put what is there in the place of each pattern; what matches nothing stays, and is an error later."""
    found: list[str] = []
    for directory in directories:
        if any(sign in directory for sign in "*?["):
            from glob import glob  # noqa: PLC0415 -- for those who have patterns

            found += sorted(glob(directory)) or [directory]  # noqa: PTH207 -- texts
        else:
            found.append(directory)
    return found


def _file(path: str) -> File:
    try:
        state = os.stat(path)  # noqa: PTH116 -- as above
        if not stat.S_ISREG(state.st_mode):
            return File(path, 0, why="no regular file")  # to open a pipe would be to wait for its writer
        if state.st_size > _LARGEST:
            return File(path, 0, why=f"larger than {_LARGEST >> 20} MiB")
        return File(path, state.st_mtime, read_text(path))
    except OSError as error:
        return File(path, 0, why=str(error.strerror))


def parse(files: Iterable[File]) -> Metrics:
    """Take all that can be used."""
    return merge(files)[0]


def merge(files: Iterable[File]) -> tuple[Metrics, dict[str, str]]:
    """Return what the files say together, and what is wrong with which.

    A family may be spread over files that agree on its type and text; of two series that are the same the first counts.
    """
    wrong: dict[str, str] = {}
    found: dict[str, tuple[Family, dict[Series, float]]] = {}
    times: list[Sample] = []
    for file in files:
        try:
            if file.why:
                raise FormatError(file.why)  # noqa: TRY301 -- told like the others
            parsed = families(file.text)
        except (FormatError, ValueError) as error:
            wrong[file.path] = str(error)
            continue
        times.append(((file.path,), file.written))
        for family, series in parsed:
            known, before = found.setdefault(family.name, (family, {}))
            if known != family:
                wrong[file.path] = f"{family.name} has another type or text in another file"
            elif before.keys() & series.keys():
                wrong[file.path] = f"{family.name} has a series that is in another file too"
            else:
                before.update(series)
    metrics = [_metric(family, series, found) for family, series in found.values()]
    return [*metrics, (MTIME, times), single(ERROR, int(bool(wrong)))], wrong


def _metric(family: Family, series: Mapping[Series, float], beside: Container[str]) -> tuple[Family, list[Sample]]:
    """Give all series of a family the same labels, empty where they have none: the same to Prometheus.

    OpenMetrics calls the family of a counter x_total x: where there is an x already, it is no counter.
    """
    if family.kind in BOUNDS:
        return _compound(family, series)
    names = tuple(dict.fromkeys(label for key in series for label, _ in key))
    clashes = family.kind == "counter" and family.name.endswith("_total") and family.name[: -len("_total")] in beside
    shown = replace(family, labels=names, kind="untyped" if clashes else family.kind)
    return shown, [(tuple(dict(key).get(label, "") for label in names), value) for key, value in series.items()]


def _compound(family: Family, series: Mapping[Series, float]) -> tuple[Family, list[Sample]]:
    """Do the same for a histogram or summary: each one's buckets by their bounds, then sum and count."""
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
    """Return the directories, one a line."""
    return tuple(filter(None, text.split("\n")))


DIRECTORY = CollectorOption(
    *("directory", "", "directory of the files; may be given more than once, or as a pattern with *", "DIR"),
    many=True,
    parse=parse_directories,
)


class TextFiles(Collector):
    """What other programs of the node want to tell."""

    name = "textfile"
    summary = "metrics of other programs, from the .prom files of a directory"
    families = (ERROR, MTIME)
    yields_to_others = True
    options = (DIRECTORY,)

    def setup(self) -> None:
        """Nothing has been found wrong yet."""
        self._wrong: dict[str, str] = {}

    def collect(self) -> Metrics:
        """Read and parse; without a directory there is only the good news that nothing is wrong. Log what is news."""
        metrics, wrong = merge(read(self.option(DIRECTORY)))
        for path, why in wrong.items():
            if self._wrong.get(path) != why:
                _LOG.warning("textfile: %s cannot be used: %s", path, why)
        self._wrong = wrong
        return metrics
