"""The setting grpc.listen without the packages of the extra."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, cast

import pytest

from metricat_agent.config.loader import SettingError, add_flags, new_parser
from metricat_hub.config.options import HUB
from metricat_hub.config.settings import Settings, parse
from metricat_hub.wiring.grpc import serving_grpc


def settings(*arguments: str) -> Settings:
    parser = new_parser(HUB)
    add_flags(parser, HUB)
    return parse(vars(parser.parse_args(arguments)), {})


async def serve(chosen: Settings) -> None:
    async with serving_grpc(chosen, cast("Any", None), cast("Any", None), None):
        pass


def test_missing_package_is_named_with_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("metricat_hub.api.grpc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(SettingError, match=r"--grpc.listen=127.0.0.1:8429: .*pip install 'metricat-hub\[grpc\]'"):
        asyncio.run(serve(settings("--grpc.listen=127.0.0.1:8429")))


def test_without_an_address_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    asyncio.run(serve(settings()))


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("--grpc.listen=8429", "8429"),
        ("--grpc.listen=0.0.0.0:8429", "TLS is not configured"),
        ("--live.max-connections=0", "live.max-connections"),
        ("--live.allowed-origins=example.org", "https://grafana.example.org"),
    ],
)
def test_wrong_setting_names_the_remedy(argument: str, remedy: str) -> None:
    with pytest.raises(SettingError) as raised:
        settings(argument)
    assert remedy in str(raised.value)
    assert argument.partition("=")[0] in str(raised.value)
