"""Metrics of others: the ``.prom`` files of directories, in Prometheus' text format.

A file that cannot be read or parsed costs only itself. Numbers with a time of their own are refused: they would be
wrong at the next scrape. Families that the agent has itself yield to the agent's.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.families import Family, Kind, Metrics, Sample, gauge, single
from metricat_agent.files import read_text
from metricat_agent.options import Option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ERROR = gauge("node_textfile_scrape_error", "1 if a file could not be used, else 0.")
MTIME = gauge("node_textfile_mtime_seconds", "When a file was written, in seconds since 1970 (UTC).", "file")
_LARGEST = 4 << 20
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{(.*)\})?\s+(\S+)$")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}
_KINDS: dict[str, Kind] = {"counter": "counter", "gauge": "gauge"}


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it is, when it was written, what it says; None if it cannot be read."""

    path: str
    written: float
    text: str | None


class FormatError(Exception):
    """A line that is no line of the format."""


def read(directories: Iterable[str]) -> list[File]:
    """Read all files, sorted; a directory that is missing is an error of its own."""
    found = []
    for directory in directories:
        for name in sorted(os.listdir(directory)):  # noqa: PTH208 -- texts everywhere else
            if name.endswith(".prom"):
                path = f"{directory.rstrip('/')}/{name}"
                try:
                    state = os.stat(path)  # noqa: PTH116 -- as above
                    text = read_text(path) if state.st_size <= _LARGEST else None
                    found.append(File(path, state.st_mtime, text))
                except OSError:
                    found.append(File(path, 0, None))
    return found


def parse(files: Iterable[File]) -> Metrics:
    """Take the families of the files that can be used, each family from the first file that has it."""
    broken = False
    found: dict[str, tuple[Family, list[Sample]]] = {}
    times: list[Sample] = []
    for file in files:
        try:
            if file.text is None:
                raise FormatError(file.path)  # noqa: TRY301 -- counted like the others
            metrics = families(file.text)
        except (FormatError, ValueError):
            broken = True
            continue
        times.append(((file.path,), file.written))
        for family, samples in metrics:
            if family.name in found:
                broken = True
            else:
                found[family.name] = (family, list(samples))
    return [*found.values(), (MTIME, times), single(ERROR, int(broken))]


def families(text: str) -> Metrics:
    """Take a text apart; raise `FormatError`. Parts of histograms and summaries come as families of their own."""
    helps: dict[str, str] = {}
    kinds: dict[str, str] = {}
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
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
    return [_metric(name, helps.get(name, ""), kinds.get(name, ""), series) for name, series in samples.items()]


def _metric(
    name: str, text: str, kind: str, series: Mapping[tuple[tuple[str, str], ...], float]
) -> tuple[Family, list[Sample]]:
    """Give all series of a family the same labels, empty where they have none: the same to Prometheus."""
    names = tuple(dict.fromkeys(label for key in series for label, _ in key))
    plain = text.replace("\\n", "\n").replace("\\\\", "\\") or "Read from a file."
    family = Family(name, _KINDS.get(kind, "untyped"), plain, names)
    return family, [(tuple(dict(key).get(label, "") for label in names), value) for key, value in series.items()]


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
    options = (Option("directory", "", "where the files are; may be given more than once", "DIR", many=True),)

    @classmethod
    def option(cls, name: str, text: str) -> object:
        """Take directories, separated by line ends."""
        del name
        return tuple(filter(None, text.split("\n")))

    def collect(self) -> Metrics:
        """Read and parse; without a directory there is only the good news that nothing is wrong."""
        directories = self.settings["directory"]
        assert isinstance(directories, tuple)  # noqa: S101 -- `option` made it
        return parse(read(directories))
