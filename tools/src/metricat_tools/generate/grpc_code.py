"""Generate the Python code of the hub's gRPC API from hub/proto, with the compiler in grpcio-tools."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from metricat_tools.errors import ToolError

SOURCE = "metricat/v1/metrics.proto"
TARGET = Path("hub", "src", "metricat_hub", "protocol", "v1")
_IMPORT = "from metricat.v1 import metrics_pb2"
_OWN_IMPORT = "from metricat_hub.protocol.v1 import metrics_pb2"


def modules(checkout: Path) -> Mapping[Path, str]:
    """Return the text of each generated file by its path in the checkout."""
    protos = checkout / "hub" / "proto"
    with tempfile.TemporaryDirectory(prefix="metricat-protoc-") as name:
        outputs = [f"--{kind}_out={name}" for kind in ("python", "pyi", "grpc_python")]
        common = str(files("grpc_tools") / "_proto")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"-I{common}", *outputs, SOURCE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{SOURCE} cannot be compiled: {done.stderr.strip()}")
        folder = Path(name, SOURCE).parent
        found = {TARGET / path.name: path.read_text() for path in sorted(folder.iterdir())}
    code = TARGET / "metrics_pb2_grpc.py"  # imports its sibling by the path of the proto file
    assert _IMPORT in found[code]
    found[code] = found[code].replace(_IMPORT, _OWN_IMPORT)
    return found
