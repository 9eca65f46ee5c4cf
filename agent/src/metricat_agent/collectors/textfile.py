"""Metrics of others: the ``.prom`` files of directories, in Prometheus' text format.

A file that cannot be read or parsed costs only itself, and is named in the log. Numbers with a time of their own are
refused: they would be wrong at the next scrape. Families that the agent has itself yield to the agent's.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.families import Family, Kind, Metrics, Sample, gauge, single
from metricat_agent.files import read_text
from metricat_agent.options import Option

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

ERROR = gauge("node_textfile_scrape_error", "1 if a file could not be used, else 0.")
MTIME = gauge("node_textfile_mtime_seconds", "When a file was written, in seconds since 1970 (UTC).", "file")
_LOG = logging.getLogger(__name__)
_LARGEST = 4 << 20
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)$")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}
_KINDS: dict[str, Kind] = {"counter": "counter", "gauge": "gauge"}


@dataclass(frozen=True, slots=True)
class File:
    """One file (or directory): where it is, when it was written, what it says, or why it cannot be used."""

    path: str
    written: float
    text: str = ""
    why: str = ""


_Series = tuple[tuple[str, str], ...]
"""Labels and their values, sorted."""


class FormatError(Exception):
    """A line that is no line of the format."""


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
    return merged(files)[0]


def merged(files: Iterable[File]) -> tuple[Metrics, dict[str, str]]:
    """Return what the files say together, and what is wrong with which.

    A family may be spread over files that agree on its type and text; of two series that are the same the first counts.
    """
    wrong: dict[str, str] = {}
    found: dict[str, tuple[Family, dict[_Series, float]]] = {}
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


def families(text: str) -> list[tuple[Family, dict[_Series, float]]]:
    """Take a text apart, labels not yet in columns; raise `FormatError`.

    Parts of histograms and summaries come as families of their own.
    """
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    samples: dict[str, dict[_Series, float]] = {}
    for line in text.splitlines():
        words = line.split(None, 3)
        if not words:
            continue
        if words[0].startswith("#"):
            if len(words) > 2 and words[1] in ("HELP", "TYPE"):
                (helps if words[1] == "HELP" else kinds)[words[2]] = words[3] if len(words) > 3 else ""
            continue
        match = _SAMPLE.match(line.strip())
        if match is None:
            raise FormatError(line)
        series = samples.setdefault(match[1], {})
        key = tuple(sorted(labels(match[2] or "").items()))
        if key in series:
            raise FormatError(line)
        series[key] = float(match[3])
    return [(_family(name, helps.get(name, ""), kinds.get(name, "")), series) for name, series in samples.items()]


def _family(name: str, text: str, kind: str) -> Family:
    plain = text.replace("\\n", "\n").replace("\\\\", "\\") or "Read from a file."
    return Family(name, _KINDS.get(kind, "untyped"), plain, ())


def _metric(family: Family, series: Mapping[_Series, float], beside: Container[str]) -> tuple[Family, list[Sample]]:
    """Give all series of a family the same labels, empty where they have none: the same to Prometheus.

    OpenMetrics calls the family of a counter x_total x: where there is an x already, it is no counter.
    """
    names = tuple(dict.fromkeys(label for key in series for label, _ in key))
    clashes = family.kind == "counter" and family.name.endswith("_total") and family.name[: -len("_total")] in beside
    shown = replace(family, labels=names, kind="untyped" if clashes else family.kind)
    return shown, [(tuple(dict(key).get(label, "") for label in names), value) for key, value in series.items()]


def labels(text: str) -> dict[str, str]:
    """Take apart what stands between the braces."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip()):
        match = _LABEL.match(text, at)
        if match is None or match[1] in found:
            raise FormatError(text)
        found[match[1]] = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), match[2])
        at = match.end()
    return found


class TextFiles(Collector):
    """What other programs of the node want to tell."""

    name = "textfile"
    summary = "metrics of other programs, from the .prom files of a directory"
    families = (ERROR, MTIME)
    foreign = True
    options = (
        Option(
            "directory",
            "",
            "where the files are; may be given more than once, or as a pattern with *",
            "DIR",
            many=True,
        ),
    )

    def start(self) -> None:
        """Nothing has been found wrong yet."""
        self._wrong: dict[str, str] = {}

    @classmethod
    def option(cls, name: str, text: str) -> object:
        """Take directories, separated by line ends."""
        del name
        return tuple(filter(None, text.split("\n")))

    def collect(self) -> Metrics:
        """Read and parse; without a directory there is only the good news that nothing is wrong. Log what is news."""
        directories = self.settings["directory"]
        assert isinstance(directories, tuple)  # noqa: S101 -- `option` made it
        metrics, wrong = merged(read(directories))
        for path, why in wrong.items():
            if self._wrong.get(path) != why:
                _LOG.warning("textfile: %s cannot be used: %s", path, why)
        self._wrong = wrong
        return metrics
