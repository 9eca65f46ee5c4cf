"""What the endpoints work with. `app` creates it once, as `app.state.services`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from metricat_hub.api.authorization import Access
    from metricat_hub.model.ports import Store


@dataclass(frozen=True)
class Services:
    """The store and everything that endpoints share."""

    store: Store
    access: Access
    now: Callable[[], int]
    """The clock, in milliseconds since 1970-01-01 UTC."""


def services(request: Request) -> Services:
    """Return the services of the application that received a request."""
    found: Services = request.app.state.services
    return found
