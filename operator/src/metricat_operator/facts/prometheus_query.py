"""What a Prometheus is asked about a target, and what it answers: plain frozen types. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from metricat_operator.conditions import Reason


@dataclass(frozen=True)
class Endpoint:
    """How the Prometheus Operator lets a Prometheus serve its API."""

    port_name: str = "web"
    prefix: str = ""
    tls: bool = False
    listen_local: bool = False


@dataclass(frozen=True, order=True)
class PrometheusPod:
    """A pod of a Prometheus; `reason` says why there is no address to ask."""

    shard: str
    name: str
    address: str = ""
    port: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """What a Prometheus should scrape for a target; a sample older than the window is no evidence any more."""

    namespace: str
    service: str
    pool: str
    window_seconds: int


@dataclass(frozen=True)
class RuleGroup:
    """A rule group: its name, and what the path of its rule file must contain."""

    file: str
    name: str


@dataclass(frozen=True)
class PrometheusQuery:
    """What one Prometheus is asked about one target.

    Of each shard one pod is asked, the first that answers. With a `hindrance` (reason, message) nobody is asked;
    `after_timeout` is what a person may do where nobody answers.
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
    """A rule that is loaded; `health` is Prometheus' word: ok, err, or unknown before the first evaluation."""

    group: RuleGroup
    name: str
    health: str = "ok"
    error: str = ""
    fingerprint: int = 0
    """See `wording`."""


def fingerprint(duration: float, annotations: Mapping[str, str]) -> int:
    """Tells one version of an alert from another by what Prometheus repeats to the letter; 0 where that is nothing.

    Expressions come back in its own spelling. The texts of the shipped alerts tell their thresholds.
    """
    return hash((float(duration), frozenset(annotations.items()))) if duration or annotations else 0


@dataclass(frozen=True)
class QueryResult:
    """What one Prometheus answered; `trouble` (reason, message) where it did not, or a shard of it.

    `nodes` holds for each node that it scrapes whether it is up, `errors` the last error of some that are not.
    `configured` is whether its configuration has the job, `reloaded` whether it took its newest configuration; both
    are asked only where something is missing.
    """

    instance: str
    trouble: tuple[Reason, str] | None = None
    nodes: Mapping[str, bool] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[LoadedRule, ...] = ()
    configured: bool = True
    reloaded: bool = True


@dataclass(frozen=True)
class Rejection:
    """What the Prometheus Operator says of an object that it leaves out, for one Prometheus (empty: for some)."""

    uid: str
    message: str
    instance: str = ""
