"""The Secrets that the collector `probe` needs: CAs and tokens. All are in one volume, with the named keys only.

See docs/design/0032.
"""

from metricat_operator.api.collectors import ProbeCollector
from metricat_operator.api.probes import MountedKey
from metricat_operator.facts.model import Manifest

_VOLUME = "probe-secrets"
_FOLDER = "/etc/metricat/probes"


def path(secret: MountedKey) -> str:
    """Return the path of a value in the agent's container."""
    return f"{_FOLDER}/{secret.name}/{secret.key}"


def volumes(probe: ProbeCollector) -> list[Manifest]:
    """Return the volume with all keys, if any. The kubelet waits for a missing Secret and reports it in an event."""
    keys: dict[str, set[str]] = {}
    for secret in _used(probe):
        keys.setdefault(secret.name, set()).add(secret.key)
    if not keys:
        return []
    sources = [
        {"secret": {"name": name, "items": [{"key": key, "path": f"{name}/{key}"} for key in sorted(keys[name])]}}
        for name in sorted(keys)
    ]
    return [{"name": _VOLUME, "projected": {"sources": sources}}]


def mounts(probe: ProbeCollector) -> list[Manifest]:
    """Return the mount of the whole directory: the mount of a single file never gets updates."""
    return [{"name": _VOLUME, "mountPath": _FOLDER, "readOnly": True}] if _used(probe) else []


def _used(probe: ProbeCollector) -> list[MountedKey]:
    if not probe.enabled:
        return []
    return [secret for target in probe.targets for secret in (target.ca, target.token) if secret]
