"""The reason for which an agent refuses a scrape through the proxy of the API server."""

import pytest

from metricat_cli.agents import lacks_credentials
from metricat_cli.cluster.api_server import ApiError


@pytest.mark.parametrize(
    ("code", "message", "tls", "found"),
    [
        (401, "unauthorized", False, "requires credentials (spec.agent.web)"),
        (403, "the agent refuses", False, "requires credentials (spec.agent.web)"),
        (403, 'User "ada" cannot get resource "pods/proxy"', True, ""),
        (502, "bad gateway", True, "may require credentials (spec.agent.web)"),
        (502, "bad gateway", False, ""),
        (0, "no response", True, ""),
    ],
)
def test_only_a_refusal_by_the_agent_is_about_its_credentials(code: int, message: str, tls: bool, found: str) -> None:  # noqa: FBT001 -- the table's column
    assert lacks_credentials(ApiError(code, message), tls=tls) == found
