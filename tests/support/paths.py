"""Paths of this checkout that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "metricat"
DOCS = ROOT / "docs"
FIXTURES = ROOT / "tests" / "fixtures"
GOLDEN = ROOT / "tests" / "golden"
HOSTS = FIXTURES / "hosts"
RECORDED_HOST = FIXTURES / "host"
HUNG_FILESYSTEM = ROOT / "tests" / "support" / "hung_filesystem.py"
"""A program that mounts a filesystem which never answers; run it, never import it."""
