"""Parser of store URLs. Pure; `metricat_hub.store.opening` opens the stores."""

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
"""The kind of store by the scheme of the URL."""
DISCOVERED = "prometheus+kubernetes:"
"""The scheme for the Prometheus that the hub finds in the status of MonitoringTargets."""
FORMS = "embedded:, postgresql://HOST/DATABASE, prometheus+http(s)://HOST:PORT or prometheus+kubernetes:"
"""The forms of store URLs, for help texts and messages."""


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """The kind and URL of a store. The URL may contain a password, so `repr` does not show it."""

    kind: Kind = "embedded"
    url: str = field(default="embedded:", repr=False)

    @property
    def is_discovered(self) -> bool:
        """Whether the hub must find the address of the store in the cluster."""
        return self.url == DISCOVERED


def parse_store_url(text: str) -> StoreUrl:
    """Parse a store URL; raise ValueError with a message that does not contain the URL."""
    scheme = text.partition(":")[0]
    if text in ("embedded", "embedded:"):
        return StoreUrl()
    if text == DISCOVERED:
        return StoreUrl("prometheus", text)
    kind = SCHEMES.get(scheme)
    if kind == "embedded":
        raise ValueError(
            "embedded: has no address, because the embedded store is in the directory of --data; write only embedded:"
        )
    if kind is not None and text.startswith(f"{scheme}://"):
        return StoreUrl(kind, text)
    shown = scheme if kind is None and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) else "the value"
    raise ValueError(f"{shown} is not a store; write {FORMS}, or remove the setting for the embedded store")
