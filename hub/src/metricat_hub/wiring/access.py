"""Builds access control from the settings: the chain of authenticators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.access.authenticators import Access, ApiKeys, LocalAnonymous, WebConfigUsers
from metricat_hub.access.oidc import OidcLogin

if TYPE_CHECKING:
    from metricat_agent.web.access.authentication import Authenticator as WebConfig
    from metricat_hub.access.authenticators import Authenticator
    from metricat_hub.access.kubernetes.target_alerts import TargetAlertClient
    from metricat_hub.access.parts import Accounts
    from metricat_hub.config.settings import Settings


def oidc_login(settings: Settings, accounts: Accounts) -> OidcLogin | None:
    """Return the login with the OpenID Connect provider; None if it is not configured.

    Raises:
        HubError: the packages of OpenID Connect are missing.
    """
    if settings.oidc is None:
        return None
    return OidcLogin(settings.oidc, settings.external_url, accounts.signer, accounts.directory.now)


def access(settings: Settings, accounts: Accounts, web_config: WebConfig | None) -> Access:
    """Return the access control that the settings require.

    Raises:
        HubError: the setting access.kubernetes is on outside of a cluster.
    """
    chain: list[Authenticator] = [ApiKeys(accounts.keys), accounts.sessions]
    if web_config:
        chain.append(WebConfigUsers(web_config.user))
    targets = None
    if settings.kubernetes:
        authenticator, targets = _kubernetes()
        chain.append(authenticator)
    if settings.anonymous_loopback:
        chain.append(LocalAnonymous())
    return Access(chain, targets)


def _kubernetes() -> tuple[Authenticator, TargetAlertClient]:
    from metricat_hub.access.kubernetes.target_alerts import TargetAlertClient  # noqa: PLC0415 -- if needed
    from metricat_hub.access.kubernetes.tokens import KubernetesTokens  # noqa: PLC0415 -- if needed
    from metricat_hub.wiring.kubernetes import reviews  # noqa: PLC0415 -- imports ssl

    found = reviews("--access.kubernetes")
    return KubernetesTokens(found), TargetAlertClient(found.api, found.monitoring_targets)
