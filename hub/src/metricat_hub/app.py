"""The running hub: opens the store, starts scraper, agent and server, and stops them in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Self

from metricat_agent.config.yaml_text import Node, YamlError, read_file
from metricat_hub.access.parts import Accounts
from metricat_hub.api import write
from metricat_hub.api.application import application
from metricat_hub.api.query_threads import QueryThreads
from metricat_hub.api.self_metrics import SelfMetrics
from metricat_hub.api.server import Server, listen
from metricat_hub.api.services import Services
from metricat_hub.config.file_stamp import file_stamp
from metricat_hub.config.options import SCRAPE_SECTIONS
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.evaluation.shipped import LABELS as SHIPPED_LABELS
from metricat_hub.model.durations import format_duration
from metricat_hub.model.self_metrics import Sample
from metricat_hub.sources.agent import AgentProcess
from metricat_hub.sources.scrape.config import Job, ScrapeConfig, TargetGroup
from metricat_hub.sources.scrape.config_file import parse_scrape_config
from metricat_hub.sources.scrape.scraper import Scraper, watch
from metricat_hub.store.opening import query_limits
from metricat_hub.store.sequence_log import SequenceLog
from metricat_hub.use_cases.targets import DroppedTarget, Targets, TargetState
from metricat_hub.use_cases.write import SampleWriter
from metricat_hub.wiring.access import access, oidc_login
from metricat_hub.wiring.grpc import serving_grpc
from metricat_hub.wiring.notifications import NotificationParts
from metricat_hub.wiring.receivers import ReceiverParts
from metricat_hub.wiring.remote_alerts import RemoteAlertParts
from metricat_hub.wiring.requests import RequestParts
from metricat_hub.wiring.rules import RuleParts
from metricat_hub.wiring.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.config.settings import Settings
    from metricat_hub.sources.scrape.target_loop import Counters

_LOG = logging.getLogger(__name__)
_MAINTENANCE_SECONDS = 10.0
_ACCOUNTS_SECONDS = 1.0
_AGENT_START_SECONDS = 5.0
_AGENT_JOB = "metricat"
_AGENT_LABELS = {**SHIPPED_LABELS, "pool": "default"}
"""Labels of the local agent's series. A MonitoringTarget's series have the same labels, so the same rules apply."""
_NO_PASS_THROUGH = ("METRICAT_HUB_", "METRICAT_WEB_", "METRICAT_LOG_", "METRICAT_CONFIG_")
"""Environment variables that the hub does not pass to the agent, because the hub sets these settings by flags."""


def now() -> int:
    """Return the current time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class Hub:
    """All parts of the hub, opened. Use it as a context manager."""

    def __init__(
        self, settings: Settings, authenticator: Authenticator | None = None, clock: Callable[[], int] = now
    ) -> None:
        """Open the store and the listening socket. `clock` returns milliseconds since 1970-01-01 UTC.

        Raises:
            StoreLockedError: another process has the data directory open.
            HubError: the store, the scrape configuration or the address cannot be used.
        """
        self.settings = settings
        self.authenticator = authenticator
        self.clock = clock
        self.started = clock()
        self._problems: dict[str, str] = {}
        with contextlib.ExitStack() as opened:
            self.storage = open_storage(settings, clock)
            self.store = self.storage.store
            opened.callback(self.store.close)
            queries = self.storage.queries
            self.rules = RuleParts(settings, queries, self.store, clock)
            self.rules.history.prometheus = self.storage.remote
            opened.callback(self.rules.close)
            self.receivers = ReceiverParts(settings, self.rules, queries, clock)
            opened.callback(self.receivers.close)
            self.accounts = Accounts.open(settings.data, now)
            opened.callback(self.accounts.close)
            self.requests = RequestParts(settings, clock)
            opened.callback(self.requests.close)
            self._batches = SequenceLog(settings.data)
            opened.callback(self._batches.close)
            self.scrape_config = _scrape_config(settings)
            if self.scrape_config.jobs:
                self.storage.check_writable("scrape_configs", "remove this section from the settings file")
            self.listener = listen(settings.listen)
            opened.callback(self.listener.close)
            url = settings.external_url or self.url
            self.routing = NotificationParts(
                settings, self.rules.rules, self.receivers.delivery, self.rules.history.log, clock, url
            )
            opened.callback(self.routing.close)
            self.remote_alerts = RemoteAlertParts(settings, self.storage)
            opened.callback(self.remote_alerts.close)
            self.threads = QueryThreads(settings.query.concurrency, settings.query.timeout / 1000)
            opened.callback(self.threads.close)
            self._store_metrics = self.store.metrics()
            self._opened = opened.pop_all()
        self.scraper: Scraper | None = None

    def __enter__(self) -> Self:
        """Return the hub."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close everything."""
        self._opened.close()

    @property
    def url(self) -> str:
        """The URL of the API for a client on this machine."""
        host, port = self.listener.getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "localhost"}.get(host, host)  # noqa: S104 -- compared only
        scheme = "https" if self.authenticator and self.authenticator.tls_enabled else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def first_key(self) -> str:
        """Create an API key with all scopes if no key exists, and return its text; otherwise return an empty text."""
        keys = self.accounts.keys
        return "" if keys.all() else keys.create("first key", ["admin"])[0]

    async def run(self, *, with_agent: bool, ready: Callable[[], None]) -> None:
        """Run until SIGINT or SIGTERM; call `ready` when the server accepts requests."""
        stop = asyncio.Event()
        if with_agent:
            self.storage.check_writable("metricat up", "run `metricat hub`, which has no agent")
        agent = _agent(self.settings) if with_agent else None
        self.scraper = Scraper(_with_agent(self.scrape_config, agent, self.settings), self.requests.watched(self.store))
        server = Server(self._application(), self.listener, self.authenticator, ready, self.requests.connections)
        with _signals(stop):
            async with self._grpc, asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._repeat(self.accounts.refresh, _ACCOUNTS_SECONDS)),
                    tasks.create_task(self._repeat(self._maintain, _MAINTENANCE_SECONDS)),
                    tasks.create_task(self._repeat(self.rules.history.maintain_alert_history, _MAINTENANCE_SECONDS)),
                    tasks.create_task(self._scrape(self.scraper, agent)),
                    tasks.create_task(self._follow_config(self.scraper, agent)),
                    tasks.create_task(self.rules.run()),
                    tasks.create_task(self.routing.run()),
                    tasks.create_task(self.receivers.run()),
                ]
                if agent:
                    background.append(tasks.create_task(agent.run()))
                serving = tasks.create_task(server.run_until_stopped())
                await stop.wait()
                server.stop()
                await serving
                for task in background:
                    task.cancel()
        await asyncio.to_thread(self.accounts.refresh)

    async def _scrape(self, scraper: Scraper, agent: AgentProcess | None) -> None:
        """Scrape; the first scrape of the agent waits until the agent listens."""
        if agent:
            await agent.wait_until_listening(_AGENT_START_SECONDS)
        await scraper.run()

    async def _follow_config(self, scraper: Scraper, agent: AgentProcess | None) -> None:
        """Reload the scrape configuration when the settings file changes."""
        path = self.settings.config_file
        if not path:
            return
        last = file_stamp(path)

        def changed() -> bool:
            nonlocal last
            before, last = last, file_stamp(path)
            return last != before

        await watch(changed, lambda: _with_agent(_scrape_config(self.settings), agent, self.settings), scraper)

    async def _repeat(self, work: Callable[[], None], seconds: float) -> None:
        """Run blocking work at an interval. The status lists its error as a problem until the work succeeds."""
        name = work.__name__.strip("_")
        while True:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(work)
            except Exception as error:  # noqa: BLE001 -- the hub must continue
                if name not in self._problems:
                    _LOG.error("%s failed: %s", name, error)
                self._problems[name] = f"{name} failed: {error}"
            else:
                self._problems.pop(name, None)

    def _maintain(self) -> None:
        self.store.maintain()
        self._store_metrics = self.store.metrics()

    def _application(self) -> object:
        settings = self.settings
        services = Services(
            store=self.store,
            access=access(settings, self.accounts, self.authenticator),
            accounts=self.accounts,
            oidc=oidc_login(settings, self.accounts),
            now=self.clock,
            threads=self.threads,
            targets=self._targets,
            settings=settings,
            started=self.started,
            limits=query_limits(settings),
            rules=self.rules.rules,
            alert_rules=self.rules.alert_rules,
            notifications=self.routing.notifications,
            alert_history=self.rules.history.history,
            remote_alerts=self.remote_alerts.alerts,
            delivery=self.receivers.delivery,
            interval=settings.interval,
            problems=lambda: (*self._problems.values(), *self.store.problems()),
            degradations=lambda: (
                *(*self.requests.degradations(), *self.storage.notices(), *self.routing.problems()),
                *(*self.rules.problems(), *self.receivers.problems()),
            ),
            rate_limits=self.requests.rate_limits,
            answers=self.requests.answers,
            engine=self.storage.queries,
            storage=self.storage,
        )
        writer = SampleWriter(self.requests.watched(self.store))
        collector = write.batch_collector(writer, self._batches)
        self._grpc = serving_grpc(settings, services, collector, self.authenticator)
        routes = write.routes(writer, collector=collector)
        return application(services, routes, SelfMetrics(self._samples), self.authenticator, self.requests.access_log)

    def _targets(self) -> Targets:
        scraper = self.scraper
        if scraper is None:
            return Targets()
        return Targets(
            [
                TargetState(
                    pool=one.job,
                    url=one.url,
                    labels=one.labels,
                    discovered=one.discovered,
                    interval=one.interval,
                    timeout=one.timeout,
                    health="up" if one.health == "up" else "down" if one.health == "down" else "unknown",
                    error=one.last_error,
                    last_scrape=one.last_scrape,
                    duration=one.last_duration,
                )
                for one in scraper.targets()
            ],
            [DroppedTarget(job, labels) for job, labels in scraper.dropped_targets()],
        )

    def _samples(self) -> Sequence[Sample]:
        """Return the counters of the store and the scraper."""
        health = [one.health for one in self._targets().active]
        found = [
            Sample(
                "metricat_hub_scrape_targets",
                "Number of scrape targets by health.",
                health.count(state),
                labels={"health": state},
            )
            for state in ("up", "down", "unknown")
        ]
        counters = self.scraper.counters if self.scraper else None
        if counters:
            found += _scrape_samples(counters)
        own = (*self.requests.samples(), *self.rules.samples(), *self.routing.samples(), *self.receivers.samples())
        return [*found, *self._store_metrics, *own]


def _scrape_samples(counters: Counters) -> list[Sample]:
    """Return the counters of the scraper as metrics."""
    return [
        Sample(
            f"metricat_hub_scrape_{one.name}",
            one.metadata["help"],
            getattr(counters, one.name),
            is_counter=True,
        )
        for one in dataclasses.fields(counters)
    ]


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """Set the event at SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    handled = (signal.SIGINT, signal.SIGTERM)
    if sys.platform == "win32":
        before = [signal.signal(one, lambda *_: loop.call_soon_threadsafe(stop.set)) for one in handled]
        try:
            yield
        finally:
            for one, handler in zip(handled, before, strict=True):
                signal.signal(one, handler)
        return
    for one in handled:
        loop.add_signal_handler(one, stop.set)
    try:
        yield
    finally:
        for one in handled:
            loop.remove_signal_handler(one)


def _scrape_config(settings: Settings) -> ScrapeConfig:
    """Return the jobs of the sections `global` and `scrape_configs` of the settings file."""
    try:
        root = read_file(settings.config_file) if settings.config_file else None
    except YamlError as error:
        raise ConfigFileError(f"{settings.config_file}: {error}") from None
    if root is None or not isinstance(root.value, dict):
        return ScrapeConfig()
    sections = {key: node for key, node in root.value.items() if key in SCRAPE_SECTIONS}
    default = Node({"scrape_interval": Node(format_duration(settings.interval), root.line, "str")}, root.line, "map")
    sections["global"] = _merged(default, sections.get("global"))
    return parse_scrape_config(Node(sections, root.line, "map"), settings.config_file)


def _merged(default: Node, given: Node | None) -> Node:
    """Return a copy of a mapping with defaults for missing keys."""
    if given is None or given.is_null:
        return default
    if not isinstance(given.value, dict) or not isinstance(default.value, dict):
        return given
    return Node({**default.value, **given.value}, given.line, given.kind)


def _with_agent(config: ScrapeConfig, agent: AgentProcess | None, settings: Settings) -> ScrapeConfig:
    """Return the configuration with the job of the local agent."""
    return ScrapeConfig((*config.jobs, *([_agent_job(agent, settings)] if agent else [])))


def _agent(settings: Settings) -> AgentProcess:
    arguments = [f"--log.level={settings.log_level}", f"--log.format={settings.log_format}"]
    if settings.agent_config:
        arguments.append(f"--config.file={settings.agent_config}")
    return AgentProcess(settings.server_id, arguments, _agent_environment(os.environ))


def _agent_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_NO_PASS_THROUGH)}


def _agent_job(agent: AgentProcess, settings: Settings) -> Job:
    labels = {**_AGENT_LABELS, "node": settings.server_id, "instance": settings.server_id}
    return Job(
        _AGENT_JOB,
        scrape_interval=settings.interval,
        scrape_timeout=min(settings.interval, 10_000),
        static_groups=(TargetGroup((agent.address,), tuple(sorted(labels.items()))),),
        scrape_at_start=True,
    )
