"""The objects that all endpoints share. `app` creates them once and sets `app.state.services`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast

from metricat_hub.api.live.rounds import CONNECTIONS, Rounds
from metricat_hub.api.live.tickets import Tickets
from metricat_hub.api.query_threads import QueryThreads
from metricat_hub.promql.limits import Limits
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.restriction import RestrictedEngine, RestrictedReader, namespace_matchers
from metricat_hub.use_cases.storage_state import StorageState
from metricat_hub.use_cases.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection

    from metricat_hub.access.authenticators import Access
    from metricat_hub.access.oidc import OidcLogin
    from metricat_hub.access.parts import Accounts
    from metricat_hub.access.principal import Principal
    from metricat_hub.api.answers import Answers
    from metricat_hub.api.rate_limits import RateLimits
    from metricat_hub.config.settings import Settings
    from metricat_hub.model.alert_history import AlertHistory
    from metricat_hub.model.ports import Store
    from metricat_hub.notify.delivery import Delivery
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.alert_rules import AlertRules
    from metricat_hub.use_cases.notifications import Notifications
    from metricat_hub.use_cases.remote_alerts import RemoteAlerts
    from metricat_hub.use_cases.rules import Rules


@dataclass(frozen=True)
class Services:
    """The store and the other objects that all endpoints share."""

    store: Store
    access: Access
    now: Callable[[], int]
    """Returns the current time in milliseconds since 1970-01-01 UTC."""
    threads: QueryThreads = field(default_factory=lambda: QueryThreads(4, 120))
    targets: Callable[[], Targets] = Targets
    settings: Settings | None = None
    started: int = 0
    """When the hub started, in milliseconds since 1970-01-01 UTC."""
    limits: Limits = field(default_factory=Limits)
    accounts: Accounts | None = None
    """Users, API keys and sessions; None: this hub has no accounts of its own."""
    oidc: OidcLogin | None = None
    """Login with an OpenID Connect provider; None: not configured."""
    interval: int = 10_000
    """The usual time between two samples of a series, in milliseconds."""
    problems: Callable[[], Sequence[str]] = tuple
    """Returns the current problems that make the hub not ready, each with a remedy."""
    storage: StorageState = field(default_factory=StorageState)
    """The state of the store and of the outputs."""
    engine: QueryEngine | None = None
    """Evaluates queries; None: `queries` evaluates them in this process."""
    degradations: Callable[[], Sequence[str]] = tuple
    """Returns the current problems of optional parts, each with a remedy. The hub stays ready."""
    rate_limits: RateLimits | None = None
    """Rate limits of clients; None: no limits."""
    rules: Rules | None = None
    """The rules that the hub evaluates; None: it evaluates no rules, or the client may not see them."""
    alert_rules: AlertRules | None = None
    """The rules that clients can change; None: the hub evaluates no rules, or the client may not see them."""
    notifications: Notifications | None = None
    """The routing of notifications, with silences; None: the client may not see it."""
    remote_alerts: RemoteAlerts | None = None
    """Alerts of another server, which evaluates the rules; None: the hub evaluates the rules."""
    alert_history: AlertHistory | None = None
    """The alert history; None: the hub has no alert history."""
    namespaces: frozenset[str] | None = None
    """The namespaces whose alerts the client may see; None: all namespaces."""
    delivery: Delivery | None = None
    """The receivers and their queue; None: the hub has no receivers, or the client may not see them."""
    answers: Answers | None = None
    """The cache of responses; None: each request is evaluated."""

    @cached_property
    def queries(self) -> QueryEngine:
        """The query engine: `engine`, or one over the store."""
        return self.engine or Queries(self.store, self.limits)

    def seen_by(self, principal: Principal) -> Services:
        """Return services limited to the namespaces of a client, without targets, rules, receivers and routing."""
        if principal.namespaces is None:
            return self
        matchers = namespace_matchers(principal.namespaces)
        return replace(
            self,
            store=cast("Store", RestrictedReader(self.store, matchers)),  # a reader: endpoints do not write
            engine=RestrictedEngine(self.queries, matchers),
            targets=Targets,
            storage=StorageState(),
            rules=None,
            alert_rules=None,
            notifications=None,
            namespaces=principal.namespaces,
            delivery=None,
            problems=lambda: _counted(self.problems()),
            degradations=lambda: _counted(self.degradations()),
        )

    @property
    def notifier(self) -> Literal["hub", "alertmanager", "unknown"]:
        """The program that sends the notifications about alerts."""
        if self.remote_alerts is None:
            return "hub"
        return "alertmanager" if self.remote_alerts.alertmanager else "unknown"

    @cached_property
    def rounds(self) -> Rounds:
        """The evaluation of live values."""
        most = self.settings.live.connections if self.settings else CONNECTIONS
        return Rounds(self.store, self.queries, self.threads, self.now, interval=self.interval, connections=most)

    @cached_property
    def tickets(self) -> Tickets:
        """The unused tickets for live connections."""
        return Tickets(self.now)


def _counted(problems: Sequence[str]) -> Sequence[str]:
    """Return how many problems exist, without their texts: these can have labels of any namespace."""
    return (
        (f"the hub has {len(problems)} problems; only clients with access to all namespaces see their details",)
        if problems
        else ()
    )


def services(connection: HTTPConnection) -> Services:
    """Return the services that the client of a request or a WebSocket may use."""
    found: Services = connection.app.state.services
    principal: Principal | None = getattr(connection.state, "principal", None)
    return found.seen_by(principal) if principal else found
