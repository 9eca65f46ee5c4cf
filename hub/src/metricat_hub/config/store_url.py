"""The URL of a store: which store it names. Pure; `metricat_hub.store.opening` opens it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["embedded", "postgresql", "prometheus"]

SCHEMES: dict[str, Kind] = {
    "embedded": "embedded",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "prometheus+http": "prometheus",
    "prometheus+https": "prometheus",
}
"""The store that each scheme names."""
DISCOVERED = "prometheus+kubernetes:"
"""The Prometheus that the status of MonitoringTargets names."""
FORMS = "embedded:, postgresql://HOST/DATABASE, prometheus+http(s)://HOST:PORT or prometheus+kubernetes:"
"""The forms of a URL, for help texts and messages."""


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """A store. The URL may contain a password, so it is not part of any text."""

    kind: Kind = "embedded"
    url: str = field(default="embedded:", repr=False)

    @property
    def is_discovered(self) -> bool:
        """Whether the hub finds the address in the cluster."""
        return self.url == DISCOVERED


def parse_store_url(text: str) -> StoreUrl:
    """Return the store that a URL names; raise ValueError, without the URL in its message."""
    scheme = text.partition(":")[0]
    if text in ("embedded", "embedded:"):
        return StoreUrl()
    if text == DISCOVERED:
        return StoreUrl("prometheus", text)
    kind = SCHEMES.get(scheme)
    if kind == "embedded":
        raise ValueError("embedded: has no address; the embedded store is in the directory of --data")
    if kind is not None and text.startswith(f"{scheme}://"):
        return StoreUrl(kind, text)
    shown = scheme if kind is None and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) else "the value"
    raise ValueError(f"{shown} is not a store; write {FORMS}, or remove the setting for the embedded store")
