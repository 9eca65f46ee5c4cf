"""Settings of a push, as the command line gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse

if TYPE_CHECKING:
    from metricat_agent.config.push_settings import PushSettings


def push_settings(port: int, *arguments: str) -> PushSettings:
    """Return the settings that push to a port of this machine as the node worker-1."""
    url = f"--push.url=http://127.0.0.1:{port}/api/v1/write"
    given = parse([url, *arguments], {"NODE_NAME": "worker-1"}, COLLECTORS)
    assert given.push is not None
    return given.push
