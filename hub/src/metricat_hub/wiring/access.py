"""The chain of authenticators that the settings require."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.access.authenticators import Access, ApiKeys, LocalAnonymous, WebConfigUsers

if TYPE_CHECKING:
    from metricat_agent.web.access.authentication import Authenticator as WebConfig
    from metricat_hub.access.authenticators import Authenticator
    from metricat_hub.access.keys import KeyStore
    from metricat_hub.config.settings import Settings


def access(settings: Settings, keys: KeyStore, web_config: WebConfig | None) -> Access:
    """Return who may send requests."""
    chain: list[Authenticator] = [ApiKeys(keys)]
    if web_config:
        chain.append(WebConfigUsers(web_config.user))
    if settings.anonymous_loopback:
        chain.append(LocalAnonymous())
    return Access(chain)
