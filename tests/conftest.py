"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("support.store_contract")

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    # CI uses fixed examples, so a failure comes from the change. Runs of developers try other examples each time.
    settings.load_profile("ci")
