"""Settings of all tests."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    # A change fails because of what it changes. Runs of developers try other examples each time.
    settings.load_profile("ci")
