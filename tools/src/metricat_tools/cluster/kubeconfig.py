"""Kubeconfig files with embedded certificates and tokens, so that a client needs only one file."""

import base64
from pathlib import Path

import yaml

from metricat_tools.cluster.pki import CertificateAndKey, write_private


def write(path: Path, server: str, authority: Path, credentials: CertificateAndKey | str) -> Path:
    """Write a kubeconfig for a client with a certificate or a bearer token."""
    if isinstance(credentials, str):
        user = {"token": credentials}
    else:
        user = {
            "client-certificate-data": _data(credentials.certificate),
            "client-key-data": _data(credentials.key),
        }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": _data(authority)}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    write_private(path, yaml.safe_dump(content, sort_keys=False).encode())
    return path


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
