"""kubectl with types: the stack, the demo and the e2e tests access a cluster only through it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from metricat_tools.binaries import ensure
from metricat_tools.errors import ToolError

FIELD_MANAGER = "metricat-tools"
Object = dict[str, Any]
"""A Kubernetes object, or any JSON object, as received."""


class KubectlError(ToolError):
    """kubectl or the API server reported an error."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl for the cluster of a kubeconfig, or without one for the cluster of the current context."""

    kubeconfig: Path | None = None

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Return the output of `kubectl ARGUMENTS...`.

        Raises:
            KubectlError: it failed; the message contains its output.
        """
        return self._run(ensure("kubectl")["kubectl"], arguments, stdin)

    def helm(self, *arguments: str) -> str:
        """Return the output of `helm ARGUMENTS...` on the same cluster."""
        return self._run(ensure("helm")["helm"], arguments, None)

    def get(self, *arguments: str) -> Object:
        """Return the object or the list that `kubectl get ARGUMENTS...` finds."""
        found: Object = json.loads(self.run("get", *arguments, "--output=json"))
        return found

    def items(self, *arguments: str) -> list[Object]:
        """Return the objects that `kubectl get ARGUMENTS...` lists."""
        return list(self.get(*arguments)["items"])

    def exists(self, *arguments: str) -> bool:
        """Return whether `kubectl get ARGUMENTS...` finds an object."""
        try:
            return bool(self.run("get", *arguments, "--ignore-not-found", "--output=name").strip())
        except KubectlError as error:
            if "the server doesn't have a resource type" in str(error):
                return False
            raise

    def apply(self, manifests: str, *, manager: str = FIELD_MANAGER) -> None:
        """Apply YAML documents server-side, as the field manager `manager`; take over fields of other managers."""
        self.run(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-", stdin=manifests
        )

    def through(self, namespace: str, service: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the parsed JSON of a Service's response, through the API server's proxy. `service` is `name:port`."""
        proxy = f"/api/v1/namespaces/{namespace}/services/{service}/proxy{path}"
        return json.loads(self.run("get", "--raw", f"{proxy}?{urlencode(query)}" if query else proxy))

    @property
    def words(self) -> str:
        """The start of a shell command for this cluster, for output to users."""
        return f"KUBECONFIG={self.kubeconfig} kubectl" if self.kubeconfig else "kubectl"

    def _run(self, program: Path, arguments: Sequence[str], stdin: str | None) -> str:
        environment = {**os.environ, **({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {})}
        done = subprocess.run(
            [program, *arguments], input=stdin, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            output = done.stderr.strip() or done.stdout.strip()
            raise KubectlError(f"`{program.name} {' '.join(arguments[:4])}` failed: {output}")
        return done.stdout
