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
        ({**IMAGE, "METRICAT_WORKERS": "010"}, "METRICAT_WORKERS='010' is invalid; use a whole number"),
        ({**IMAGE, "METRICAT_WORKERS": "2.7"}, "METRICAT_WORKERS='2.7' is invalid; use a whole number"),
        ({**IMAGE, "METRICAT_WORKERS": "\u0664"}, "is invalid; use a whole number"),
        ({**IMAGE, "METRICAT_HEALTH_PORT": "65536"}, "METRICAT_HEALTH_PORT='65536' is invalid; use a whole number"),
        ({**IMAGE, "METRICAT_HEALTH_PORT": "8443"}, "METRICAT_METRICS_PORT=8443 are equal; set two different ports"),
        (
            {**IMAGE, "METRICAT_NAMESPACES": " , "},
            "METRICAT_NAMESPACES=' , ' contains no name; list names separated by commas",
        ),
        ({**IMAGE, "METRICAT_NAMESPACES": "a,B_c"}, "METRICAT_NAMESPACES='a,B_c': 'B_c' is not a name of a Kuberne"),
        ({**IMAGE, "METRICAT_NAMESPACES": "*"}, r"'\*' is not a name"),
        ({**IMAGE, "METRICAT_LEASE": "a/b/c"}, "METRICAT_LEASE='a/b/c' is invalid; use NAMESPACE/NAME"),
        ({**IMAGE, "METRICAT_AGENT_IMAGE": " "}, "METRICAT_AGENT_IMAGE is not set"),
        ({**IMAGE, "METRICAT_LEASE": "metricat"}, "METRICAT_LEASE='metricat' is invalid; use NAMESPACE/NAME"),
        ({**IMAGE, "METRICAT_LOG_LEVEL": "loud"}, "METRICAT_LOG_LEVEL='loud' is invalid; use one of DEBUG, INFO"),
    ],
)
def test_invalid_setting_names_variable_value_and_remedy(environment: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read(environment)
