"""Generate the Python code of the hub's gRPC API from hub/proto, with the compiler in grpcio-tools."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from metricat_tools.errors import ToolError

SOURCES = ("metricat/v1/alerts.proto", "metricat/v1/metrics.proto")
TARGET = Path("hub", "src", "metricat_hub", "protocol", "v1")
_IMPORT = "from metricat.v1 import"
_OWN_IMPORT = "from metricat_hub.protocol.v1 import"


def modules(checkout: Path) -> Mapping[Path, str]:
    """Return the text of each generated file by its path in the checkout."""
    protos = checkout / "hub" / "proto"
    with tempfile.TemporaryDirectory(prefix="metricat-protoc-") as name:
        outputs = [f"--{kind}_out={name}" for kind in ("python", "pyi", "grpc_python")]
        common = str(files("grpc_tools") / "_proto")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"-I{common}", *outputs, *SOURCES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"the files of {protos} cannot be compiled: {done.stderr.strip()}")
        folder = Path(name, SOURCES[0]).parent
        found = {TARGET / path.name: path.read_text() for path in sorted(folder.iterdir())}
    # The generated code imports its siblings by the path of the proto files.
    return {path: text.replace(_IMPORT, _OWN_IMPORT) for path, text in found.items()}
