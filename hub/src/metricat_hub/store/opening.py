"""Opens the store in --store.url, returns limits of stores and queries, and checks for optional libraries."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from metricat_hub.model.errors import HubError
from metricat_hub.promql.limits import Limits
from metricat_hub.store.embedded import EmbeddedStore
from metricat_hub.store.embedded import Settings as StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.config.settings import Settings
    from metricat_hub.config.store_url import Kind
    from metricat_hub.model.ports import ManagedStore

_ROUND_SECONDS = 1.0
"""The CPU time of a round of maintenance. Rounds are ten seconds apart, so maintenance uses a tenth of a core.

A window of two hours has 650 rounds: enough for the chunks of 500,000 series.
"""


def open_store(settings: Settings, clock: Callable[[], int]) -> ManagedStore:
    """Open the store in --store.url.

    Args:
        settings: the settings of the hub.
        clock: returns the time in milliseconds.

    Raises:
        StoreLockedError: another hub has the store open.
        StoreUnavailableError: the store cannot be read or written now.
        HubError: a setting of the store is not valid, or a required library is missing.
    """
    return _OPENERS[settings.store_url.kind](settings, clock)


def store_settings(settings: Settings) -> StoreSettings:
    """Return retention and limits of the store from the settings of the hub."""
    return StoreSettings(
        raw_retention=settings.store.raw,
        minute_retention=settings.store.minutes,
        hour_retention=settings.store.hours,
        max_bytes=settings.store.max_bytes,
        series_limit=settings.store.max_series,
        round_seconds=_ROUND_SECONDS,
        query_samples=settings.query.samples,
        query_series=settings.query.series,
    )


def query_limits(settings: Settings) -> Limits:
    """Return the limits of queries from the settings of the hub."""
    return Limits(samples=settings.query.samples, series=settings.query.series, seconds=settings.query.timeout / 1000)


def require(module: str, extra: str, purpose: str) -> None:
    """Import an optional library.

    Args:
        module: the name of the library's module.
        extra: the extra of metricat-hub that installs it.
        purpose: the setting that needs the library, such as "--store.url=postgresql:".

    Raises:
        HubError: the library is not installed. The message contains the command that installs it.
    """
    try:
        import_module(module)
    except ImportError as error:
        raise HubError(
            f"{purpose} needs the library {module}, which is not installed ({error}). "
            f"Install it with: pip install 'metricat-hub[{extra}]'"
        ) from None


def _embedded(settings: Settings, clock: Callable[[], int]) -> ManagedStore:
    return EmbeddedStore.open(settings.data, store_settings(settings), clock)


def _postgresql(settings: Settings, clock: Callable[[], int]) -> ManagedStore:
    require("psycopg", "postgresql", "--store.url=postgresql:")
    from metricat_hub.store.postgresql import PostgresStore  # noqa: PLC0415 -- psycopg is optional, and 6 MiB

    return PostgresStore.open(
        settings.store_url.url,
        store_settings(settings),
        clock,
        readers=settings.query.concurrency,
        query_timeout=settings.query.timeout,
    )


def _prometheus(settings: Settings, clock: Callable[[], int]) -> ManagedStore:
    del clock
    from metricat_hub.remote.remote_write_sender import RemoteWriteSender  # noqa: PLC0415 -- for this kind only
    from metricat_hub.store.prometheus import PrometheusStore  # noqa: PLC0415 -- as above

    remote = settings.remote_store
    assert remote is not None  # noqa: S101 -- the settings of this kind have it
    sender = RemoteWriteSender(remote.receiver) if remote.receiver else None
    return PrometheusStore(remote.server, sender, query_limits(settings))


_OPENERS: dict[Kind, Callable[[Settings, Callable[[], int]], ManagedStore]] = {
    "embedded": _embedded,
    "postgresql": _postgresql,
    "prometheus": _prometheus,
}
"""The function that opens each kind of store. It imports the libraries of its kind only when it is called."""
