"""The collectors: one file for one part of the host.

Each collector declares its families, reads and parses. ``read`` only reads files. ``parse`` is pure: the same text
gives the same metrics on any machine. Only `portable` imports other collectors. No collector depends on scrapes or
HTTP. A collector catches only exceptions that it can handle: the registry isolates collectors. Collectors return the
kernel's counts in base units (seconds, bytes). Rates and percentages belong in PromQL.
"""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from metricat_agent.host.skips import Skips

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_agent.collectors.option import CollectorOption
    from metricat_agent.exposition.model import Family, Metrics
    from metricat_agent.host.hostfs import Host


Found = TypeVar("Found")
T = TypeVar("T")
POD_DEVICES = r"^(veth.+|cali[0-9a-f]+|lxc(_health|[0-9a-f]+)|eni[0-9a-f]+|azv.+|gke[0-9a-f]+|nodelocaldns)$"
"""Devices of pods and of NodeLocal DNSCache, as network plugins name them. ``lxcbr0`` is a bridge of LXC, not a pod.

Their series appear and disappear with the pods.
"""


def pattern(text: str) -> re.Pattern[str]:
    """Compile the regular expression of a setting. Raise ValueError with an example for an invalid one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # Go supports [[:alpha:]]; here it means something different
            return re.compile(text)
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression ({error}); write for example ^(a|b)$") from None


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects devices or mount points: those that ``include`` matches and ``exclude`` does not."""

    include: re.Pattern[str] | None = None
    exclude: re.Pattern[str] | None = None

    def keeps(self, name: str) -> bool:
        """Return whether the filter keeps a name. Like node_exporter, match anywhere in the name."""
        if self.include is not None and not self.include.search(name):
            return False
        return self.exclude is None or not self.exclude.search(name)


@dataclass(frozen=True, slots=True)
class FilterFlags:
    """The pair of flags that set a `Filter`: ``--collector.NAME.<exclude>`` and ``--collector.NAME.<include>``."""

    what: str
    exclude: str
    include: str
    default_exclude: str = ""

    @classmethod
    def of(cls, key: str, what: str, default_exclude: str) -> FilterFlags:
        """Return the flags ``<key>-exclude`` and ``<key>-include``, as node_exporter spells most of them."""
        return cls(what, f"{key}-exclude", f"{key}-include", default_exclude)


class Collector(ABC):
    """Source of metrics about one part of the host, such as its disks."""

    name: ClassVar[str]
    summary: ClassVar[str]
    families: ClassVar[tuple[Family, ...]]
    filter_flags: ClassVar[tuple[FilterFlags, ...]] = ()
    options: ClassVar[tuple[CollectorOption[object], ...]] = ()
    """The collector's own settings, ``--collector.NAME.<option>``."""
    on_by_default: ClassVar[bool] = True
    yields_to_others: ClassVar[bool] = False
    """Whether another collector's family of the same name takes precedence."""
    essential: ClassVar[bool] = False
    """Whether the collector keeps running when the agent must save CPU, and keeps all its series."""
    per_cpu: ClassVar[bool] = False
    """Whether the number of CPUs bounds the number of series, so that no limit drops any of them."""

    def __init__(
        self, host: Host, filters: Mapping[str, Filter] | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        """Set the collector up for a host.

        ``filters`` are keyed by the name of their exclude flag; without one, everything is kept. ``settings`` are keyed
        by the name of their option; without any, the defaults apply.
        """
        self.host = host.with_own_files()
        self.filters = filters or {}
        self.settings = settings or {option.name: option.parse(option.default) for option in self.options}
        self._parsed: tuple[object, Metrics] | None = None
        self._unparsable = Skips()
        self.setup()

    def setup(self) -> None:  # noqa: B027 -- most keep nothing
        """Create the state that is kept from scrape to scrape, if any."""

    @classmethod  # noqa: B027 -- the options of most collectors do not depend on each other
    def check_options(cls, options: Mapping[str, object]) -> None:
        """Raise ValueError if the values of two options contradict each other."""

    def filter(self, exclude_flag: str) -> Filter:
        """Return the filter that this exclude flag belongs to."""
        return self.filters.get(exclude_flag, Filter())

    def option(self, option: CollectorOption[T]) -> T:
        """Return the value of one of this collector's options."""
        return cast("T", self.settings[option.name])  # `option.parse` returned it

    def background_seconds(self) -> float:
        """Return the CPU time that the collector's work between scrapes used so far, in seconds."""
        return 0

    def suspend(self) -> None:  # noqa: B027 -- as above
        """Stop work between scrapes: the agent must save CPU and pauses this collector."""

    def parse_if_changed(self, found: Found, parse: Callable[[Found], Metrics]) -> Metrics:
        """Return the parsed metrics, or the same object as the last time if ``found`` has not changed.

        For the same object, the exposition writer also reuses the formatted text.
        """
        if self._parsed is None or self._parsed[0] != found:
            self._parsed = (found, parse(found))
        return self._parsed[1]

    def parse_parts_if_changed(self, found: Found, parse: Callable[[Found, Skips], Metrics]) -> Metrics:
        """Do the same as `parse_if_changed`, with a parser that skips parts that it cannot parse.

        Count the skipped parts at every scrape, also when ``found`` has not changed.
        """
        if self._parsed is None or self._parsed[0] != found:
            self._unparsable = Skips()
            self._parsed = (found, parse(found, self._unparsable))
        self.host.skips.update(self._unparsable)
        return self._parsed[1]

    @abstractmethod
    def collect(self) -> Metrics:
        """Return the current metrics. One thread at a time calls this.

        The registry counts an exception as a failure. `FileNotFoundError` means no metrics, unless the collector is
        essential.
        """
