"""Settings of all tests."""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("support.store_contract")

# No example has a deadline: a busy machine would exceed it. CI uses fixed examples, so a failure comes from the change.
# Runs of developers try other examples each time.
settings.register_profile("metricat", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("metricat")
