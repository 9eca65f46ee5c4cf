"""Programs built from Go modules: one `go build` for all that are missing of a module."""

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
        lambda: ToolError(f"the Go on PATH is too old: install Go {_MINIMUM} or newer and put it on PATH"),
    ),
    (
        r"dial tcp|no such host|i/o timeout|connection refused|network is unreachable|TLS handshake timeout",
        lambda: ToolError(
            "a Go module could not be downloaded: connect to the network, or set GOPROXY to a proxy in reach"
        ),
    ),
    (
        r"x509: certificate",
        lambda: ToolError("a download was refused for want of certificates: apt-get install ca-certificates"),
    ),
    (
        r"libseccomp|gcc.*not found|executable file not found.*gcc",
        lambda: ToolError(
            "runc needs a C compiler and libseccomp's headers: apt-get install gcc libseccomp-dev pkg-config"
        ),
    ),
)


def folder(module: GoModule) -> Path:
    """Where a module's programs lie in the cache: named by version and by all that decides the build."""
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
    """What `go build` calls a package's program: the last part of its path that is no major version."""
    path = f"/{module.folder}" if program.member == "." else program.member
    return re.sub(r"/v\d+$", "", path).rpartition("/")[2]


def module_dir(folder_name: str, module: str) -> Path:
    """The folder of an unpacked Go module that `tools/programs/FOLDER/go.mod` pins, downloaded when missing."""
    directory = GO_MODULES / folder_name
    if not (directory / "go.mod").is_file():
        raise ToolError(f"there is no Go module {folder_name} in {GO_MODULES}")
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
    """The Go command; its absence is an error with a way out."""
    if found := shutil.which("go"):
        return found
    raise ToolError(f"there is no `go` on PATH: install Go {_MINIMUM} or newer, it builds the programs the tests run")


def environment(*, cgo: bool) -> dict[str, str]:
    """Go's environment: our go.mod decides everything, and the Go at hand is the one that builds."""
    ours = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": str(int(cgo))}
    return {**os.environ, **ours}


def explain(output: str) -> ToolError | None:
    """The sentence for a known way in which Go fails."""
    return next((error() for pattern, error in _REMEDIES if re.search(pattern, output)), None)
