"""The monitoring stack on a cluster: Prometheus Operator, one Prometheus, one Alertmanager, and Metricat.

Everything is applied to the cluster of a kubeconfig, and may be applied again. Nothing here starts a cluster or builds
an image.
"""

from metricat_tools.stack.apis import AlertmanagerApi, PrometheusApi
from metricat_tools.stack.install import install_stack
from metricat_tools.stack.kubectl import Kubectl
from metricat_tools.stack.metricat import install_metricat

__all__ = ["AlertmanagerApi", "Kubectl", "PrometheusApi", "install_metricat", "install_stack"]
