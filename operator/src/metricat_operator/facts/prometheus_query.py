"""Queries to a Prometheus about a target, and their results, as frozen types. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from metricat_operator.conditions import Reason


@dataclass(frozen=True)
class Endpoint:
    """The API of a Prometheus as its spec configures it: port, path prefix, TLS, Service and shards."""

    port_name: str = "web"
    prefix: str = ""
    tls: bool = False
    listen_local: bool = False
    service: str = "prometheus-operated"
    """The headless Service that gives the pods their DNS names."""
    shards: int = 1


@dataclass(frozen=True, order=True)
class PrometheusPod:
    """A pod of a Prometheus. If it cannot be queried, `reason` states why; otherwise `reason` is empty."""

    shard: str
    name: str
    address: str = ""
    port: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """The scrape job of a target; samples older than the window are ignored."""

    namespace: str
    service: str
    pool: str
    window_seconds: int


@dataclass(frozen=True)
class RuleGroup:
    """A rule group: its name, and a text that the path of its rule file contains."""

    file: str
    name: str


@dataclass(frozen=True)
class PrometheusQuery:
    """The queries to one Prometheus about one target.

    In each shard, one pod after another is queried until one responds. If `blocked_by` (reason, message) is set, no pod
    is queried. `after_timeout` is the remedy that the message gives if no pod responds.
    """

    instance: str
    web: Endpoint
    shards: tuple[tuple[PrometheusPod, ...], ...] = ()
    job: Job | None = None
    groups: tuple[RuleGroup, ...] = ()
    can_query: bool = True
    blocked_by: tuple[Reason, str] | None = None
    after_timeout: str = ""


@dataclass(frozen=True)
class LoadedRule:
    """A loaded rule; `health` is that of Prometheus: ok, err, or unknown before the first evaluation."""

    group: RuleGroup
    name: str
    health: str = "ok"
    error: str = ""
    fingerprint: int = 0
    """A hash of the rule's version, as the function `fingerprint` returns it."""


def fingerprint(duration: float, annotations: Mapping[str, str]) -> int:
    """Return a hash that distinguishes versions of an alert; 0 if it has neither a duration nor annotations.

    The hash covers only what Prometheus returns unchanged. Prometheus reformats expressions, but the annotations of the
    shipped alerts contain their thresholds.
    """
    return hash((float(duration), frozenset(annotations.items()))) if duration or annotations else 0


@dataclass(frozen=True)
class QueryResult:
    """The result of the queries to one Prometheus.

    `problem` (reason, message) states why the Prometheus, or one of its shards, did not respond. `nodes` holds, for
    each scraped node, whether it is up. `errors` holds the last error of some nodes that are not up. `configured` is
    whether its configuration has the job; it is queried only if no node is scraped. `reloaded` is whether it accepted
    its newest configuration.
    """

    instance: str
    problem: tuple[Reason, str] | None = None
    nodes: Mapping[str, bool] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[LoadedRule, ...] = ()
    configured: bool = True
    reloaded: bool = True


@dataclass(frozen=True)
class Rejection:
    """A rejection of an object by the Prometheus Operator for one instance; an empty `instance` means any."""

    uid: str
    message: str
    instance: str = ""
