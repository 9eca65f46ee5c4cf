"""Silences of a real Alertmanager, and alerts of a real Prometheus with what Alertmanager does about them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from metricat_hub.dispatch.matchers import parse
from metricat_hub.dispatch.silences import Silence
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.server import Server
from metricat_hub.remote.http_client import Client
from metricat_hub.use_cases.alertmanager_api import AlertmanagerApi
from metricat_hub.use_cases.notifications import ControlError, StaleControlError, UnknownControlError
from support import real_alertmanager

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = "route: {receiver: people, group_wait: 0s}\nreceivers: [{name: people}]\n"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real_alertmanager.Alertmanager]:
    with real_alertmanager.running(tmp_path_factory.mktemp("alertmanager"), CONFIGURATION) as found:
        yield found


@pytest.fixture
def api(alertmanager: real_alertmanager.Alertmanager) -> Iterator[AlertmanagerApi]:
    client = Client(Server(alertmanager.url))
    yield AlertmanagerApi(client)
    client.close()


def now() -> int:
    return time.time_ns() // 1_000_000


def new(*matchers: str, comment: str = "a test") -> Silence:
    at = now()
    return Silence("", parse(matchers), at, at + HOUR, "ann", comment)


def test_silence_keeps_all_its_parts(api: AlertmanagerApi) -> None:
    wanted = new('a="1"', 'b!="2"', 'c=~"3|4"', 'd!~"5"')
    created = api.add_silence(wanted, now())
    found = api.silence(created.id)
    assert found == created
    assert (found.matchers, found.ends, found.author, found.comment) == (
        wanted.matchers,
        wanted.ends,
        "ann",
        "a test",
    )
    assert found in api.silences()


def test_silence_without_a_comment_gets_one(api: AlertmanagerApi) -> None:
    assert api.add_silence(new('a="1"', comment=""), now()).comment == "created with Metricat"


def test_expired_silence_stays_in_the_list_and_cannot_be_changed(api: AlertmanagerApi) -> None:
    created = api.add_silence(new('expired="1"'), now())
    ended = api.expire_silence(created.id, now(), created.version)
    assert (ended.id, ended.state(now() + 1_000)) == (created.id, "expired")
    with pytest.raises(ControlError, match="the silence has expired"):
        api.change_silence(created, now() + 1_000, None)


def test_change_replaces_a_silence_and_detects_another_change(api: AlertmanagerApi) -> None:
    created = api.add_silence(new('changed="1"'), now())
    with pytest.raises(StaleControlError, match="another client has changed the silence"):
        api.change_silence(created, now(), created.version - 1)
    longer = Silence(created.id, created.matchers, created.starts, created.ends + HOUR, "bob", "longer")
    changed = api.change_silence(longer, now(), created.version)
    assert (changed.ends, changed.author, changed.comment) == (created.ends + HOUR, "bob", "longer")


def test_invalid_silences_are_rejected(api: AlertmanagerApi) -> None:
    with pytest.raises(ControlError, match="the matchers match every alert"):
        api.add_silence(new('a!="1"'), now())
    ended = Silence("", parse(['a="1"']), now() - 2 * HOUR, now() - HOUR, "ann", "a test")
    with pytest.raises(ControlError, match="Alertmanager rejects the silence"):
        api.add_silence(ended, now())
    with pytest.raises(UnknownControlError, match="no silence of Alertmanager has the ID 'unknown'"):
        api.silence("unknown")


def test_alerts_name_their_receivers_and_silences(
    alertmanager: real_alertmanager.Alertmanager, api: AlertmanagerApi
) -> None:
    created = api.add_silence(new('alertname="Silenced"'), now())
    alertmanager.post([{"alertname": "Silenced"}, {"alertname": "Loud"}])
    deadline = time.monotonic() + 60
    found = {}
    while time.monotonic() < deadline:
        found = {one.labels["alertname"]: one for one in api.alerts()}
        if found.get("Silenced") and found["Silenced"].status.silenced_by:
            break
        time.sleep(0.1)
    assert found["Silenced"].status.silenced_by == [created.id]
    assert found["Loud"].status.silenced_by == []
    assert [one.name for one in found["Loud"].receivers] == ["people"]


def test_unreachable_alertmanager_is_named() -> None:
    client = Client(Server("http://127.0.0.1:1"))
    with pytest.raises(StoreUnavailableError, match=r"http://127.0.0.1:1 does not respond: .*alertmanager-url"):
        AlertmanagerApi(client).silences()
