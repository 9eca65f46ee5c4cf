"""Compresses pages for the wire, quickly: the network to Prometheus is near, the node's CPU is not ours.

ISA-L does it in a quarter of zlib's time where its package is installed (``pip install metricat-agent[fast]``, and in
the image); it has no wheels for some small machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zlib as library
else:
    try:
        from isal import isal_zlib as library
    except ImportError:
        import zlib as library

LIBRARY: str = library.__name__
_FORMAT = 16 + library.MAX_WBITS
"""With the head and tail of gzip."""


def gzipped(data: bytes) -> bytes:
    """Return the data as a gzip file."""
    compressor = library.compressobj(1, library.DEFLATED, _FORMAT)
    return compressor.compress(data) + compressor.flush()
