"""Generated requests to every operation of the OpenAPI document: schemathesis, in a virtual environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import hub_process

pytestmark = pytest.mark.slow

VERSION = "4.32.5"
HOOKS = """
import schemathesis


@schemathesis.serializer("application/x-protobuf")
def protobuf(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
"""
"""Schemathesis sends any bytes as protobuf."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.fixture(scope="module")
def schemathesis(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("schemathesis")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
    uv = str(Path(sys.executable).parent / "uv")
    install = (uv, "pip", "install", "--quiet", "--python", str(folder), f"schemathesis=={VERSION}")
    subprocess.run(install, check=True, timeout=600)
    return str(folder / "bin" / "schemathesis")


def test_responses_conform_to_the_document(schemathesis: str, tmp_path: Path) -> None:
    with hub_process.running(tmp_path, subcommand=("up",)) as hub:
        command = (
            *(schemathesis, "run", f"{hub.url}/openapi.json", "--header", f"Authorization: Bearer {hub.key}"),
            *("--max-examples=10", f"--checks={CHECKS}", "--phases=examples,coverage,fuzzing"),
        )
        (tmp_path / "hooks.py").write_text(HOOKS)
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=900, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
