"""The error of a wrong setting names the variable, its value and the remedy."""

import socket

import pytest

from metricat_operator.settings import Settings, SettingsError, read

IMAGE = {"METRICAT_AGENT_IMAGE": "metricat/agent:1"}


def test_only_the_agent_image_is_required() -> None:
    assert read(IMAGE) == Settings(agent_image="metricat/agent:1", pod_name=socket.gethostname())


def test_lists_are_separated_by_commas() -> None:
    assert read({**IMAGE, "METRICAT_AGENT_IMAGE_PULL_SECRETS": "a, b,"}).agent_image_pull_secrets == ("a", "b")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "METRICAT_AGENT_IMAGE is not set; set it to the image"),
        ({**IMAGE, "METRICAT_WORKERS": "0"}, "METRICAT_WORKERS='0' is invalid; use a whole number from 1 to 64"),
        ({**IMAGE, "METRICAT_LEASE": "metricat"}, "METRICAT_LEASE='metricat' is invalid; use NAMESPACE/NAME"),
        ({**IMAGE, "METRICAT_LOG_LEVEL": "loud"}, "METRICAT_LOG_LEVEL='loud' is invalid; use one of DEBUG, INFO"),
    ],
)
def test_invalid_setting_names_variable_value_and_remedy(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(environment)
