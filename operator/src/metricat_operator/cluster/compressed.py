"""Compressed storage of objects that are rarely needed in full. The metadata stay uncompressed.

The children of a target are some 70 kB of JSON, mostly alert rules. They take twice that as Python objects, and a tenth
when compressed. They are read only when their target is reconciled. See docs/design/0016.
"""

import json
import zlib

from metricat_operator.cluster.watch import kept_metadata
from metricat_operator.facts.model import Manifest

_FAST = 1
_PACKED = "packed"


def pack(manifest: Manifest) -> Manifest:
    """Compress an object. Two states that differ only in their resource version give the same result."""
    metadata = dict(manifest["metadata"])
    metadata.pop("resourceVersion")
    text = json.dumps({**manifest, "metadata": metadata}, separators=(",", ":"))
    kept = {**kept_metadata(manifest), "ownerReferences": manifest["metadata"].get("ownerReferences", [])}
    return {"kind": manifest["kind"], "metadata": kept, _PACKED: zlib.compress(text.encode(), _FAST)}


def unpack(kept: Manifest) -> Manifest:
    """Return the full object as a new copy."""
    text = zlib.decompress(kept[_PACKED])  # nosemgrep: decompression-without-limit -- from `pack`
    manifest: Manifest = json.loads(text)
    manifest["metadata"]["resourceVersion"] = kept["metadata"]["resourceVersion"]
    return manifest
