"""The authenticator of Kubernetes tokens: decisions, their cache, its bounds, and no access without the API server."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError, check
from metricat_hub.access.credentials import Credentials
from metricat_hub.access.kubernetes.tokens import CACHE_SECONDS, MOST_CACHED, MOST_PENDING, KubernetesTokens
from metricat_hub.model.errors import AccessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from metricat_hub.access.principal import Principal, Scope


class Reviewer:
    """Decides by the text of the token, and counts the reviews."""

    def __init__(self) -> None:
        self.reviewed: list[str] = []
        self.visible: dict[str, frozenset[str] | None] = {"admin": None, "owner": None, "dev": frozenset({"team-a"})}
        self.is_down = False
        self.released = threading.Event()
        self.released.set()

    def user(self, token: str) -> Mapping[str, Any] | None:
        self.reviewed.append(token)
        assert self.released.wait(10)
        if self.is_down:
            raise AccessUnavailableError("the API server of Kubernetes does not respond. Retry later.")
        return None if token.startswith("invalid") else {"username": token.partition("-")[0]}

    def namespaces(self, user: Mapping[str, Any]) -> frozenset[str] | None:
        return self.visible.get(user["username"], frozenset())

    def may_read_metrics(self, user: Mapping[str, Any]) -> bool:
        return bool(user["username"] == "prometheus")

    def may_report_alerts(self, user: Mapping[str, Any]) -> bool:
        return bool(user["username"] == "alertmanager")

    def may_edit(self, user: Mapping[str, Any]) -> bool:
        return bool(user["username"] == "owner")


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def bearer(token: str) -> Credentials:
    return Credentials(f"Bearer {token}")


def run(work: Coroutine[Any, Any, Principal | None]) -> Principal | None:
    return asyncio.run(work)


def test_user_may_read_the_series_of_visible_namespaces_only() -> None:
    tokens = KubernetesTokens(Reviewer())
    admin, dev = run(tokens.authenticate(bearer("admin-1"))), run(tokens.authenticate(bearer("dev-1")))
    assert admin is not None
    assert dev is not None
    assert (admin.name, admin.namespaces, admin.kind) == ("admin", None, "kubernetes")
    assert (dev.name, dev.namespaces) == ("dev", frozenset({"team-a"}))
    for one in (admin, dev):
        assert (one.may("read"), one.may("write"), one.may("admin")) == (True, False, False)


def test_user_who_may_patch_all_targets_may_edit() -> None:
    found = run(KubernetesTokens(Reviewer()).authenticate(bearer("owner-1")))
    assert found is not None
    assert (found.may("edit"), found.may("write"), found.may("admin"), found.namespaces) == (True, False, False, None)


def test_alertmanager_may_report_alerts_and_sees_no_series() -> None:
    found = run(KubernetesTokens(Reviewer()).authenticate(bearer("alertmanager-1")))
    assert found is not None
    assert (found.reports_alerts, found.may("write"), found.namespaces) == (True, False, frozenset())


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("edit", "the user dev may not patch monitoringtargets.metricat.dev in all namespaces"),
        ("write", "users of Kubernetes never have the scope write"),
    ],
)
def test_error_names_the_missing_right_of_kubernetes(scope: Scope, message: str) -> None:
    found = run(KubernetesTokens(Reviewer()).authenticate(bearer("dev-1")))
    assert found is not None
    with pytest.raises(PermissionDeniedError, match=message):
        check(found, scope)


def test_invalid_token_and_user_without_a_namespace_are_rejected() -> None:
    tokens = KubernetesTokens(Reviewer())
    with pytest.raises(AuthenticationError, match="neither an API key nor a valid token of this cluster"):
        run(tokens.authenticate(bearer("invalid")))
    for _ in range(2):  # the second decision is cached
        with pytest.raises(PermissionDeniedError, match="the user eve may not get monitoringtargets"):
            run(tokens.authenticate(bearer("eve-1")))


def test_prometheus_may_scrape_the_hub_and_sees_no_series() -> None:
    found = run(KubernetesTokens(Reviewer()).authenticate(bearer("prometheus-1")))
    assert found is not None
    assert found.namespaces == frozenset()


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials("Basic " + base64.b64encode(b"dev:dev-1").decode()),
        bearer("metricat_" + "0" * 12 + "_" + "a" * 43),
        bearer(""),
    ],
)
def test_other_credentials_are_not_sent_to_the_api_server(credentials: Credentials) -> None:
    reviewer = Reviewer()
    assert run(KubernetesTokens(reviewer).authenticate(credentials)) is None
    assert reviewer.reviewed == []


def test_huge_token_is_rejected_without_a_review() -> None:
    reviewer = Reviewer()
    with pytest.raises(AuthenticationError, match="has 20000 characters"):
        run(KubernetesTokens(reviewer).authenticate(bearer("x" * 20_000)))
    assert reviewer.reviewed == []


def test_revoked_right_ends_when_the_cached_decision_expires() -> None:
    reviewer, clock = Reviewer(), Time()
    tokens = KubernetesTokens(reviewer, clock)
    assert run(tokens.authenticate(bearer("dev-1")))
    reviewer.visible["dev"] = frozenset()
    clock.now += CACHE_SECONDS - 0.1
    assert run(tokens.authenticate(bearer("dev-1")))
    assert len(reviewer.reviewed) == 1
    clock.now += 0.1
    with pytest.raises(PermissionDeniedError):
        run(tokens.authenticate(bearer("dev-1")))


def test_no_access_without_the_api_server_and_the_failure_is_not_cached() -> None:
    reviewer, clock = Reviewer(), Time()
    tokens = KubernetesTokens(reviewer, clock)
    assert run(tokens.authenticate(bearer("dev-1")))
    reviewer.is_down = True
    clock.now += CACHE_SECONDS
    with pytest.raises(AccessUnavailableError):
        run(tokens.authenticate(bearer("dev-1")))
    reviewer.is_down = False
    assert run(tokens.authenticate(bearer("dev-1")))


def test_decisions_are_bounded() -> None:
    reviewer = Reviewer()
    tokens = KubernetesTokens(reviewer)

    async def fill() -> None:
        for number in range(MOST_CACHED + 1):
            await tokens.authenticate(bearer(f"dev-{number}"))
        await tokens.authenticate(bearer(f"dev-{MOST_CACHED}"))
        assert len(reviewer.reviewed) == MOST_CACHED + 1
        await tokens.authenticate(bearer("dev-0"))

    asyncio.run(fill())
    assert reviewer.reviewed[-1] == "dev-0", "the oldest decision was removed"


def test_requests_with_one_token_share_a_review_which_survives_a_client_that_leaves() -> None:
    reviewer = Reviewer()
    tokens = KubernetesTokens(reviewer)

    async def send() -> list[Principal | None]:
        reviewer.released.clear()
        left, *others = [asyncio.ensure_future(tokens.authenticate(bearer("dev-1"))) for _ in range(5)]
        while not reviewer.reviewed:  # noqa: ASYNC110 -- the reviewer runs in a thread
            await asyncio.sleep(0.01)
        left.cancel()
        reviewer.released.set()
        return await asyncio.gather(*others)

    assert all(asyncio.run(send()))
    assert reviewer.reviewed == ["dev-1"]


def test_flood_of_tokens_is_refused_and_known_users_keep_their_access() -> None:
    reviewer = Reviewer()
    tokens = KubernetesTokens(reviewer)

    async def flood() -> list[BaseException | Principal | None]:
        await tokens.authenticate(bearer("dev-1"))
        reviewer.released.clear()
        sent = [asyncio.ensure_future(tokens.authenticate(bearer(f"invalid-{one}"))) for one in range(MOST_PENDING + 9)]
        await asyncio.sleep(0)
        assert await tokens.authenticate(bearer("dev-1"))
        reviewer.released.set()
        return await asyncio.gather(*sent, return_exceptions=True)

    found = [type(one) for one in asyncio.run(flood())]
    assert found.count(AccessUnavailableError) == 9
    assert found.count(AuthenticationError) == MOST_PENDING
