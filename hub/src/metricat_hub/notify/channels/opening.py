"""The channels that the settings describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.receivers import WebhookChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import ChannelSettings, ReceiverSettings
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.delivery import Channels


def open_channels(receivers: Sequence[ReceiverSettings]) -> Channels:
    """Return the channels of each receiver, by name."""
    return {one.name: {name: _channel(settings) for name, settings in one.channels} for one in receivers}


def _channel(settings: ChannelSettings) -> Channel:
    """Return a channel; import only the modules of the kinds that are used."""
    if isinstance(settings, WebhookChannel):
        from metricat_hub.notify.channels.webhook import Webhook  # noqa: PLC0415 -- if needed

        return Webhook(settings)
    raise NotImplementedError
