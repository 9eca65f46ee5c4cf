"""The collectors: one file for one part of the host.

Each declares its families, reads (``read`` touches the disk and nothing else) and parses (``parse`` is pure: the same
text gives the same metrics, on any machine). No collector imports another, knows of scrapes or HTTP, or catches what
it cannot mend: the registry isolates it. Numbers leave here in base units (seconds, bytes) as the kernel counts them;
rates and percentages are PromQL's business.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_agent.collectors.option import CollectorOption
    from metricat_agent.exposition.model import Family, Metrics
    from metricat_agent.host.hostfs import Host


Found = TypeVar("Found")
T = TypeVar("T")
POD_DEVICES = r"^(veth.+|cali[0-9a-f]+|lxc.+|eni[0-9a-f]+|azv.+|gke[0-9a-f]+|nodelocaldns)$"
"""The host's ends of pods' cables, as network plugins name them: their series would come and go with pods."""


def pattern(text: str) -> re.Pattern[str]:
    """Compile an expression of a setting; raise ValueError, which says what to write."""
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}); write one such as ^(a|b)$") from None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which devices or mount points a collector looks at: those that ``include`` finds and ``exclude`` does not."""

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None

    def keeps(self, name: str) -> bool:
        """Tell whether to look at it; an expression may match anywhere in the name, as in node_exporter."""
        if self.include is not None and not self.include.search(name):
            return False
        return self.exclude is None or not self.exclude.search(name)


@dataclass(frozen=True, slots=True)
class FilterFlags:
    """The pair of flags behind a `Filter`: ``--collector.NAME.<exclude>`` and ``--collector.NAME.<include>``."""

    what: str
    exclude: str
    include: str
    default_exclude: str = ""

    @classmethod
    def of(cls, key: str, what: str, default_exclude: str) -> FilterFlags:
        """Return flags spelled as node_exporter mostly does: ``<key>-exclude`` and ``<key>-include``."""
        return cls(what, f"{key}-exclude", f"{key}-include", default_exclude)


class Collector(ABC):
    """One part of the host, as the registry sees it."""

    name: ClassVar[str]
    summary: ClassVar[str]
    families: ClassVar[tuple[Family, ...]]
    filter_flags: ClassVar[tuple[FilterFlags, ...]] = ()
    options: ClassVar[tuple[CollectorOption[object], ...]] = ()
    """The collector's own settings, ``--collector.NAME.<option>``."""
    on_by_default: ClassVar[bool] = True
    foreign: ClassVar[bool] = False
    """Whether its families are others': they yield to ours of the same name."""
    essential: ClassVar[bool] = False
    """Whether it stays when the agent must save CPU."""

    def __init__(
        self, host: Host, filters: Mapping[str, Filter] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        """Remember where the host is; ``filters`` are keyed by the name of the exclude flag, absent ones keep all."""
        self.host = host.with_own_files()
        self.filters = filters or {}
        self.settings = settings or {option.name: option.parse(option.default) for option in self.options}
        self._told: tuple[object, Metrics] | None = None
        self.start()

    def start(self) -> None:  # noqa: B027 -- most keep nothing
        """Prepare what is kept from scrape to scrape, if anything."""

    def filter(self, exclude_flag: str) -> Filter:
        """Return the filter that the flag belongs to."""
        return self.filters.get(exclude_flag, Filter())

    def option(self, option: CollectorOption[T]) -> T:
        """Return the value of one of this collector's options."""
        return cast("T", self.settings[option.name])  # `option.parse` made it

    def background_seconds(self) -> float:
        """Return the CPU time used so far by what goes on between scrapes."""
        return 0

    def pause(self) -> None:  # noqa: B027 -- as above
        """End what goes on between scrapes: the agent must save CPU, and leaves this collector out."""

    def told(self, found: Found, parse: Callable[[Found], Metrics]) -> Metrics:
        """Return what is parsed of what was read just now; if that is as the last time, the very same as then.

        Such metrics are not written anew either.
        """
        if self._told is None or self._told[0] != found:
            self._told = (found, parse(found))
        return self._told[1]

    @abstractmethod
    def collect(self) -> Metrics:
        """Read and parse, now. One thread at a time calls it; whatever it raises, the registry counts."""
