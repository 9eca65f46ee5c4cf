"""Access to a cluster: kubeconfig files as kubectl reads them, and a small client of the API server.

The packages `kubernetes` and `kopf` are not used: they need 130 MB and a second of CPU time to import.
See docs/design/0045-command-line.md.
"""

from metricat_cli.cluster.api_server import ApiError, ApiServer
from metricat_cli.cluster.kubeconfig import Credentials, load

__all__ = ["ApiError", "ApiServer", "Credentials", "load"]
