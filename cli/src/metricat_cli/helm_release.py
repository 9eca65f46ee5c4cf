"""The values of an installed Helm release, from the Secret in which Helm keeps it."""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Any

from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.api_server import namespaced
from metricat_cli.errors import CommandError

_MOST_BYTES = 64 << 20
"""Of a release, decompressed. A Secret has at most 1 MiB, which gzip could make from 1 GiB."""


@dataclass(frozen=True)
class Release:
    """A release: its chart and its own values, without the defaults of the chart."""

    name: str
    chart: str
    values: dict[str, Any]


def read(api: ApiServer, namespace: str, name: str) -> Release:
    """Return the newest revision of a release.

    Raises:
        CommandError: the release does not exist, or its Secret is not readable.
    """
    found = api.list(namespaced("v1", "secrets", namespace), f"owner=helm,name={name}")
    if not found:
        raise CommandError(f"no Helm release {name} in the namespace {namespace}. See: helm list -A")
    newest = max(found, key=lambda one: int(one["metadata"]["labels"].get("version", "0")))
    try:
        release = json.loads(_gunzipped(base64.b64decode(base64.b64decode(newest["data"]["release"]))))
        return Release(name, str(release["chart"]["metadata"]["name"]), release.get("config") or {})
    except (KeyError, TypeError, ValueError, OSError, EOFError, binascii.Error, zlib.error) as error:
        stored = newest["metadata"]["name"]
        raise CommandError(
            f"cannot read the Helm release in the Secret {stored}: {str(error) or type(error).__name__}. "
            f"Use a file with its values: helm get values {name} -n {namespace} -o yaml > values.yaml, "
            "then metricat migrate values.yaml"
        ) from error


def _gunzipped(data: bytes) -> bytes:
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    content = inflate.decompress(data, _MOST_BYTES)
    if not inflate.eof:
        raise ValueError(f"truncated, or more than {_MOST_BYTES} bytes")
    return content
