"""Paths of this checkout that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "metricat"
DOCS = ROOT / "docs"
FIXTURES = ROOT / "tests" / "fixtures"
GOLDEN = ROOT / "tests" / "golden"
HOSTS = FIXTURES / "hosts"
RECORDED_HOST = FIXTURES / "host"
HUNG_FILE_SYSTEM = ROOT / "tests" / "support" / "hung_file_system.py"
"""A program that mounts a file system which never answers; run it, never import it."""
