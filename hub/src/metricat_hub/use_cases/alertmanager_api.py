"""Client of Alertmanager's API for alerts and silences. All methods block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from metricat_hub.dispatch.matchers import AlertMatchers
from metricat_hub.dispatch.silences import Silence
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.json_text import decode_json
from metricat_hub.model.ports import Matcher
from metricat_hub.model.times import parse_rfc3339, rfc3339
from metricat_hub.remote.http_client import RequestError
from metricat_hub.use_cases.notifications import ControlError, StaleControlError, UnknownControlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Operator
    from metricat_hub.remote.http_client import Client, Response

_MOST_BYTES = 64 << 20
_ALERTS = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
_SILENCES, _SILENCE = "/api/v2/silences", "/api/v2/silence"
_OPERATORS: dict[tuple[bool, bool], Operator] = {
    (True, False): "=",
    (False, False): "!=",
    (True, True): "=~",
    (False, True): "!~",
}
"""By whether the values must be equal, and whether the value is a regular expression."""


class _Name(msgspec.Struct):
    name: str


class _State(msgspec.Struct, rename="camel"):
    state: str = ""
    silenced_by: list[str] = []
    inhibited_by: list[str] = []


class KnownAlert(msgspec.Struct, rename="camel"):
    """An active alert of an Alertmanager."""

    labels: dict[str, str]
    starts_at: str
    annotations: dict[str, str] = {}
    fingerprint: str = ""
    receivers: list[_Name] = []
    status: _State = msgspec.field(default_factory=_State)


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True


class _Silence(msgspec.Struct, rename="camel"):
    matchers: list[_Matcher]
    starts_at: str
    ends_at: str
    created_by: str
    comment: str
    id: str = ""
    updated_at: str | msgspec.UnsetType = msgspec.UNSET


class AlertmanagerApi:
    """The API of one Alertmanager. The Alertmanagers of a cluster share their silences."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def alerts(self) -> Sequence[KnownAlert]:
        """Return the alerts of the Alertmanager; raise `StoreUnavailableError` if it does not respond."""
        found: list[KnownAlert] = self._get(_ALERTS, list[KnownAlert])
        return found

    def silences(self) -> list[Silence]:
        """Return all silences, the latest end first; raise `StoreUnavailableError` if Alertmanager does not respond."""
        found = [_silence(one) for one in self._get(_SILENCES, list[_Silence])]
        return sorted(found, key=lambda one: (-one.ends, one.id))

    def silence(self, identifier: str) -> Silence:
        """Return the silence with an ID; raise `UnknownControlError` if it does not exist."""
        found = next((one for one in self.silences() if one.id == identifier), None)
        if found is None:
            raise UnknownControlError(
                f"no silence of Alertmanager has the ID {identifier[:100]!r}; list the silences with: GET "
                "/api/v1/silences"
            )
        return found

    def add_silence(self, given: Silence, now: int) -> Silence:  # noqa: ARG002 -- as that of `Notifications`
        """Create a silence; raise `ControlError` if Alertmanager rejects it."""
        return self._put(replace(given, id=""))

    def change_silence(self, given: Silence, now: int, version: int | None) -> Silence:
        """Replace a silence, whose ID may change; raise `ControlError` if it has expired, or is not valid."""
        if self._current(given.id, version).state(now) == "expired":
            raise ControlError("the silence has expired; create a new one")
        return self._put(given)

    def expire_silence(self, identifier: str, now: int, version: int | None) -> Silence:
        """End a silence now, unless it has expired; raise `UnknownControlError` if it does not exist."""
        before = self._current(identifier, version)
        if before.state(now) == "expired":
            return before
        self._checked(self._send("DELETE", f"{_SILENCE}/{quote(identifier, safe='')}"))
        return self.silence(identifier)

    def _current(self, identifier: str, version: int | None) -> Silence:
        found = self.silence(identifier)
        if version not in {None, found.version}:
            raise StaleControlError("another client has changed the silence; read it again, and repeat the change")
        return found

    def _put(self, given: Silence) -> Silence:
        if given.matchers.matches_all:
            raise ControlError("the matchers match every alert; add a matcher that does not match an empty value")
        matchers = [
            _Matcher(one.name, one.value, "~" in one.operator, one.operator.startswith("="))
            for one in given.matchers.matchers
        ]
        comment = given.comment or "created with Metricat"  # Alertmanager needs one
        body = _Silence(matchers, rfc3339(given.starts), rfc3339(given.ends), given.author, comment, given.id)
        response = self._checked(self._send("POST", _SILENCES, msgspec.json.encode(body)))
        return self.silence(str(decode_json(response.body)["silenceID"]))

    def _get(self, path: str, kind: Any) -> Any:
        response = self._send("GET", path)
        if response.status != 200:
            raise self._unavailable(f"responds with status {response.status}: {response.text}")
        try:
            return decode_json(response.body, kind)
        except msgspec.MsgspecError as error:
            raise self._unavailable(f"is not an Alertmanager: {error}") from None

    def _checked(self, response: Response) -> Response:
        if response.status == 404:
            raise UnknownControlError(
                "Alertmanager no longer has the silence; list the silences with: GET /api/v1/silences"
            )
        if response.status == 400:
            raise ControlError(f"Alertmanager rejects the silence: {response.text}")
        if response.status != 200:
            raise self._unavailable(f"responds with status {response.status}: {response.text}")
        return response

    def _send(self, method: str, path: str, body: bytes | None = None) -> Response:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            return self._client.request(method, path, body, headers, limit=_MOST_BYTES)
        except RequestError as error:
            raise self._unavailable(f"does not respond: {error}") from None

    def _unavailable(self, what: str) -> StoreUnavailableError:
        where = self._client.server.shown
        return StoreUnavailableError(f"{where} {what}. Check Alertmanager and --alert-history.alertmanager-url.")


def _silence(one: _Silence) -> Silence:
    matchers = AlertMatchers(
        Matcher(each.name, _OPERATORS[each.is_equal, each.is_regex], each.value) for each in one.matchers
    )
    starts, ends = parse_rfc3339(one.starts_at), parse_rfc3339(one.ends_at)
    changed = parse_rfc3339(one.updated_at) if one.updated_at else starts
    return Silence(one.id, matchers, starts, ends, one.created_by, one.comment, changed, changed)
