"""Compression of scrape responses by gzip at its fastest level: CPU time on the node matters more than traffic.

ISA-L needs a quarter of zlib's time. It is used if its package is installed (``pip install metricat-agent[fast]``), as
in the image. The package has no wheels for some small machines. See docs/design/0015-what-a-scrape-costs.md.
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
"""Selects the header and trailer of gzip."""


def gzipped(data: bytes) -> bytes:
    """Return the data in gzip format."""
    return library.compress(data, 1, _FORMAT)
