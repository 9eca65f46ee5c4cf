"""A TLS identity that lives in this process only.

A child makes it: the library that can would stay for good in the operator's memory, at 12 MiB, for the sake of one key.
"""

import asyncio
import os
import ssl
import sys
from asyncio.subprocess import PIPE

_MAKER = "metricat_operator.servers.self_signed"


async def self_signed(name: str) -> ssl.SSLContext:
    """A server's context with a fresh key and a certificate that it signed itself; neither is ever on a disk."""
    maker = await asyncio.create_subprocess_exec(sys.executable, "-m", _MAKER, name, stdout=PIPE)
    pem, _ = await maker.communicate()
    if maker.returncode:
        raise RuntimeError(f"python -m {_MAKER} ended with {maker.returncode}; its last words are above")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads files only, and the root file system is read-only: a file in memory.
    memory = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(memory, pem)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context
