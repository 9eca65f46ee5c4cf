"""Targets: their labels before and after relabelling, and their URL. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from metricat_hub.model.durations import format_duration, parse_duration
from metricat_hub.sources.scrape.relabel import relabel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from metricat_hub.model.labels import Labels
    from metricat_hub.sources.scrape.config import Job, TargetGroup

_SLOT = 500
"""Granularity of offsets in milliseconds. Scrapes at the same time take less CPU time than scattered ones."""


class TargetError(ValueError):
    """A target cannot be scraped. The message contains the cause."""


@dataclass(frozen=True)
class Target:
    """A target after relabelling. Equal targets of one job are scraped only once."""

    job: Job = field(compare=False, repr=False)
    labels: Labels
    """The labels that the hub adds to every series of the target."""
    scheme: str
    address: str
    path: str
    """Path and query of the URL."""
    interval: int
    """Milliseconds."""
    timeout: int
    discovered: Labels = field(compare=False, repr=False)
    """The labels before relabelling."""

    @property
    def url(self) -> str:
        """Return the URL that is scraped."""
        return f"{self.scheme}://{self.address}{self.path}"

    def offset(self) -> int:
        """Return the milliseconds from the start of each interval to the scrape. They are spread over the targets.

        Targets with equal offsets are scraped together, at most about a twentieth of all targets at a time.
        """
        text = f"{self.labels}{self.url}".encode(errors="surrogatepass")
        place = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % self.interval
        slot = max(1, min(_SLOT, self.interval // 20))
        return place // slot * slot


def discovered_labels(job: Job, address: str, group: TargetGroup) -> dict[str, str]:
    """Return the labels of a target before relabelling."""
    labels = dict(group.labels)
    labels["__address__"] = address
    if group.source:
        labels["__meta_filepath"] = group.source
    defaults = {
        "job": job.job_name,
        "__scrape_interval__": format_duration(job.scrape_interval),
        "__scrape_timeout__": format_duration(job.scrape_timeout),
        "__metrics_path__": job.metrics_path,
        "__scheme__": job.scheme,
        **{f"__param_{name}": values[0] for name, values in job.params if values},
    }
    for name, value in defaults.items():
        if not labels.get(name):
            labels[name] = value
    return {name: value for name, value in labels.items() if value}


def build(job: Job, discovered: dict[str, str]) -> Target | None:
    """Build the target for discovered labels; return None if relabelling drops it.

    Raises:
        TargetError: the labels after relabelling do not describe a target.
    """
    labels = dict(discovered)
    if not relabel(labels, job.relabel):
        return None
    address = labels.get("__address__", "")
    if not address:
        raise TargetError("the label __address__ is empty after relabelling; write HOST:PORT")
    if "/" in address or any(char.isspace() for char in address):
        raise TargetError(f"invalid address '{address}'; write HOST:PORT, and the path in metrics_path")
    interval = _duration(labels, "__scrape_interval__")
    timeout = _duration(labels, "__scrape_timeout__")
    if timeout > interval:
        raise TargetError(
            f"the scrape timeout {format_duration(timeout)} is above the interval {format_duration(interval)}; set a "
            "timeout of at most the interval"
        )
    scheme = labels.get("__scheme__", "")
    if scheme not in {"http", "https"}:
        raise TargetError(f"invalid scheme '{scheme}'; write http or https")
    labels.setdefault("instance", address)
    return Target(
        job=job,
        labels=tuple(sorted((name, value) for name, value in labels.items() if not name.startswith("__"))),
        scheme=scheme,
        address=address,
        path=_path(job, labels),
        interval=interval,
        timeout=timeout,
        discovered=tuple(sorted(discovered.items())),
    )


def _duration(labels: dict[str, str], name: str) -> int:
    try:
        value = parse_duration(labels.get(name, ""))
    except ValueError as error:
        raise TargetError(f"the label {name}: {error}") from None
    if not value:
        raise TargetError(f"the label {name} is 0; write for example 15s")
    return value


def _path(job: Job, labels: dict[str, str]) -> str:
    params = {name: list(values) for name, values in job.params}
    for label, value in labels.items():
        if label.startswith("__param_"):
            params.setdefault(label.removeprefix("__param_"), [""])[:1] = [value]
    query = "&".join(
        f"{quote_plus(name)}={quote_plus(value)}" for name, values in sorted(params.items()) for value in values
    )
    path = quote(labels.get("__metrics_path__", ""), safe="/:@!$&'()*+,;=~-._")
    path = path if path.startswith("/") else f"/{path}"
    return f"{path}?{query}" if query else path


def targets_of(job: Job, groups: Iterable[TargetGroup]) -> Iterator[tuple[dict[str, str], Target | TargetError | None]]:
    """Yield discovered labels and target of each address; None as target: dropped; `TargetError`: not valid."""
    for group in groups:
        for address in group.targets:
            discovered = discovered_labels(job, address, group)
            try:
                yield discovered, build(job, discovered)
            except TargetError as error:
                yield discovered, error
