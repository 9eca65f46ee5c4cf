"""A wrong setting names the variable, its value and the way out."""

import socket

import pytest

from metricat_operator.settings import Settings, SettingsError, read

IMAGE = {"METRICAT_AGENT_IMAGE": "metricat/agent:1"}


def test_only_the_image_is_needed() -> None:
    assert read(IMAGE) == Settings(agent_image="metricat/agent:1", pod_name=socket.gethostname())


def test_lists_are_separated_by_commas() -> None:
    assert read({**IMAGE, "METRICAT_AGENT_IMAGE_PULL_SECRETS": "a, b,"}).agent_image_pull_secrets == ("a", "b")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "METRICAT_AGENT_IMAGE is not set; name the image"),
        ({**IMAGE, "METRICAT_WORKERS": "0"}, "METRICAT_WORKERS='0' is not a whole number from 1 to 64"),
        ({**IMAGE, "METRICAT_LEASE": "metricat"}, "METRICAT_LEASE='metricat' is not NAMESPACE/NAME"),
        ({**IMAGE, "METRICAT_LOG_LEVEL": "loud"}, "METRICAT_LOG_LEVEL='loud' is not one of DEBUG, INFO"),
    ],
)
def test_a_wrong_setting(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(environment)
