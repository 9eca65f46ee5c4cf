"""Objects that are needed whole, but seldom: kept compressed, with the metadata beside.

A target's children are some 70 kB of JSON, most of it alert rules; as Python objects they take twice that, compressed
a tenth. They are looked into only when their target is.
"""

import json
import zlib

from metricat_operator.cluster.watch import kept_metadata
from metricat_operator.facts.model import Manifest

_FAST = 1
_PACKED = "packed"


def pack(manifest: Manifest) -> Manifest:
    """What a cache keeps. Two states are packed the same where they differ by their resource version only."""
    metadata = dict(manifest["metadata"])
    metadata.pop("resourceVersion")
    text = json.dumps({**manifest, "metadata": metadata}, separators=(",", ":"))
    kept = {**kept_metadata(manifest), "ownerReferences": manifest["metadata"].get("ownerReferences", [])}
    return {"kind": manifest["kind"], "metadata": kept, _PACKED: zlib.compress(text.encode(), _FAST)}


def unpack(kept: Manifest) -> Manifest:
    """The object, whole; the caller's own."""
    manifest: Manifest = json.loads(zlib.decompress(kept[_PACKED]))
    manifest["metadata"]["resourceVersion"] = kept["metadata"]["resourceVersion"]
    return manifest
