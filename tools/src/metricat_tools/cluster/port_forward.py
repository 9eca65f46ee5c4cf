"""Port forwarder: a port of the machine's loopback that leads to a server in the cluster's own network.

A listening socket belongs to the network namespace that created it, whatever namespace its process is in. The socket is
created outside. This program runs inside: it accepts connections from the socket and connects to the server.
"""

import argparse
import asyncio
import contextlib
import socket
import sys
from collections.abc import Sequence

from metricat_tools.cluster.processes import ClusterProcesses, Namespaces

ROLE = "port-forward"
_CHUNK = 1 << 16


def start(processes: ClusterProcesses, inside: Namespaces, address: str, port: int, *, role: str = ROLE) -> int:
    """Start a forwarder to a server inside the namespaces and return its port on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", __name__, f"--fd={descriptor}", f"--to={address}:{port}"]
        processes.start(role, command, inside, pass_fds=[descriptor])
        return int(listener.getsockname()[1])


async def serve(listener: socket.socket, address: str, port: int) -> None:
    """Forward connections until the task is cancelled."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(address, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        for end in (writer, inner_writer):
            end.close()

    server = await asyncio.start_server(forward, sock=listener)
    async with server:
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy the data of `reader` to `writer` until the data ends, then end the data of `writer`."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


def main(arguments: Sequence[str]) -> None:
    """Forward connections from an inherited socket to a server until the process ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--to", required=True)
    chosen = parser.parse_args(arguments)
    address, _, port = chosen.to.rpartition(":")
    asyncio.run(serve(socket.socket(fileno=chosen.fd), address, int(port)))


if __name__ == "__main__":
    main(sys.argv[1:])
