"""Programs built from Go modules: one `go build` for all missing programs of a module."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.binaries import cache, progress
from metricat_tools.binaries.debian import ensure_debian
from metricat_tools.binaries.table import GO_MODULES, GoModule, Program
from metricat_tools.errors import ToolError

_MINIMUM = "1.26"
_REMEDIES = (
    (r"no space left on device", cache.disk_full),
    (
        r"requires go >= (\S+)",
        lambda: ToolError(f"Go in PATH is too old. Install Go {_MINIMUM} or newer and put it on PATH."),
    ),
    (
        r"dial tcp|no such host|i/o timeout|connection refused|network is unreachable|TLS handshake timeout",
        lambda: ToolError("cannot download a Go module. Connect to the network, or set GOPROXY to a reachable proxy."),
    ),
    (
        r"x509: certificate",
        lambda: ToolError(
            "a download failed because CA certificates are missing. Run `apt-get install ca-certificates`."
        ),
    ),
    (
        r"libseccomp|gcc.*not found|executable file not found.*gcc",
        lambda: ToolError(
            "runc needs a C compiler and libseccomp's headers. Run `apt-get install gcc libseccomp-dev pkg-config`."
        ),
    ),
)


def folder(module: GoModule) -> Path:
    """Return the cache folder of a module's programs. Its name has the version and a digest of the build's inputs."""
    sources = [
        path.read_bytes() for path in sorted(module.directory.iterdir()) if path.suffix in {".mod", ".sum", ".go"}
    ]
    digest = cache.key(str(module.cgo), *module.flags(), *sources)
    return cache.root() / "programs" / f"{module.folder}-{module.version}-{digest}"


def build(module: GoModule, programs: Sequence[Program]) -> None:
    """Build these programs of one module into the cache."""
    ensure_debian(*module.debian)
    names = ", ".join(program.name for program in programs)
    with cache.scratch() as made:
        progress.run(
            f"building {names} {module.version}",
            [go(), "build", *module.flags(), "-o", f"{made}/", *(program.member for program in programs)],
            cwd=module.directory,
            env=environment(cgo=module.cgo),
            log=cache.root() / "log" / f"{module.folder}.log",
            explain=explain,
        )
        for program in programs:
            cache.install(made / binary(program, module), folder(module) / program.name)


def binary(program: Program, module: GoModule) -> str:
    """Return the file name that `go build` gives a program: the last part of its path that is not a major version."""
    path = f"/{module.folder}" if program.member == "." else program.member
    return re.sub(r"/v\d+$", "", path).rpartition("/")[2]


def module_dir(folder_name: str, module: str) -> Path:
    """Return the folder of the Go module that `tools/binaries/FOLDER/go.mod` pins. Download it if it is missing."""
    directory = GO_MODULES / folder_name
    if not (directory / "go.mod").is_file():
        raise ToolError(f"{GO_MODULES} has no Go module {folder_name}. Correct the folder in binaries/table.py")
    done = subprocess.run(
        [go(), "mod", "download", "-json", module],
        cwd=directory,
        env=environment(cgo=False),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        text = done.stdout + done.stderr
        raise explain(text) or ToolError(f"cannot download the Go module {module}:\n{progress.tail(text)}")
    return Path(json.loads(done.stdout)["Dir"])


def go() -> str:
    """Return the path of the Go command."""
    if found := shutil.which("go"):
        return found
    raise ToolError(f"`go` is not on PATH. Install Go {_MINIMUM} or newer, which builds the programs for the tests.")


def environment(*, cgo: bool) -> dict[str, str]:
    """Return Go's environment variables: use the versions in go.mod, and build with the installed Go version."""
    ours = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": str(int(cgo))}
    return {**os.environ, **ours}


def explain(output: str) -> ToolError | None:
    """Return the error for a known failure of Go."""
    return next((error() for pattern, error in _REMEDIES if re.search(pattern, output)), None)
