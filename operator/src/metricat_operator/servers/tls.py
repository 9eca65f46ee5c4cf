"""TLS context with a self-signed certificate that exists in this process only.

A subprocess generates it: the library that it needs would occupy 12 MiB of the operator's memory for one key.
"""

import asyncio
import os
import ssl
import sys
from asyncio.subprocess import PIPE

_MAKER = "metricat_operator.servers.self_signed"


async def self_signed(name: str) -> ssl.SSLContext:
    """Return a server context with a new key and a self-signed certificate; neither is written to disk."""
    maker = await asyncio.create_subprocess_exec(sys.executable, "-m", _MAKER, name, stdout=PIPE)
    pem, _ = await maker.communicate()
    if maker.returncode:
        raise RuntimeError(f"python -m {_MAKER} exited with {maker.returncode}; see its error output above")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Use a file in memory: the ssl module reads files only, and the root filesystem is read-only.
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(memory, pem)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context
