"""The endpoint for Alertmanager's webhook, which fills the history in a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from metricat_hub.access.authenticators import check
from metricat_hub.api.accounts.requests import principal_of
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.json_text import decode_json
from metricat_hub.use_cases.alertmanager import AlertmanagerMessage, message_events

if TYPE_CHECKING:
    from starlette.requests import Request

_LARGEST = 16 << 20


async def alertmanager_webhook(request: Request) -> Response:
    """Record the alerts of one webhook message. Alertmanager sends the message again after a 5xx response."""
    own, client = services(request), principal_of(request)
    if not client.reports_alerts:
        check(client, "write")
    if own.namespaces is not None and not client.reports_alerts:
        raise Problem(
            403,
            "the client may read only some namespaces, so it cannot record alerts; use a key with access to all "
            "namespaces",
        )
    history = own.alert_history
    if history is None:
        raise Problem(404, "this hub has no alert history; use a hub that evaluates rules")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":  # a form of another site has another type
        raise Problem(415, f"the content type {media[:100] or '(none)'} is not supported; send application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise Problem(
                413, f"the body is larger than {_LARGEST} bytes; set max_alerts in Alertmanager's webhook_config"
            )
    try:
        message = decode_json(body, AlertmanagerMessage)
    except msgspec.MsgspecError as error:
        raise Problem(
            400,
            f"the body is not a message of Alertmanager's webhook: {str(error)[:300]}; send version 4 of its JSON "
            "format",
        ) from None
    events = message_events(message)
    await own.threads.run_detached(lambda _: history.record(events))
    return Response(status_code=204)
