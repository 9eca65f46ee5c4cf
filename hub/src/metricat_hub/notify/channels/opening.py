"""Creates the channels of the settings. It imports only the modules of the configured kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.receivers import AlertmanagerChannel, EmailChannel, PagerDutyChannel, SlackChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.receivers import ChannelSettings, ReceiverSettings
    from metricat_hub.notify.channel import Channel
    from metricat_hub.notify.delivery import Channels


def open_channels(receivers: Sequence[ReceiverSettings]) -> Channels:
    """Create the channels of all receivers; return them by receiver and channel name."""
    return {one.name: {name: open_channel(settings) for name, settings in one.channels} for one in receivers}


def open_channel(settings: ChannelSettings) -> Channel:
    """Create the channel for its settings."""
    if isinstance(settings, EmailChannel):
        from metricat_hub.notify.channels.mail import Email  # noqa: PLC0415 -- imports smtplib and email

        return Email(settings)
    if isinstance(settings, SlackChannel):
        from metricat_hub.notify.channels.slack import Slack  # noqa: PLC0415 -- if needed

        return Slack(settings)
    if isinstance(settings, PagerDutyChannel):
        from metricat_hub.notify.channels.pagerduty import PagerDuty  # noqa: PLC0415 -- if needed

        return PagerDuty(settings)
    if isinstance(settings, AlertmanagerChannel):
        from metricat_hub.notify.channels.alertmanager import Alertmanager  # noqa: PLC0415 -- if needed

        return Alertmanager(settings)
    from metricat_hub.notify.channels.webhook import Webhook  # noqa: PLC0415 -- if needed

    return Webhook(settings)
