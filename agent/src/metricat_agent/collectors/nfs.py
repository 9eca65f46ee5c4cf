"""Requests of the host's NFS client and NFS server, from ``/proc/1/net/rpc/nfs`` and ``nfsd``.

Kernel: net/sunrpc/stats.c, fs/nfs/nfs4proc.c, fs/nfsd/stats.c. Both files belong to a network namespace. So the
collector reads those of process 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import lines_of
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_V2 = _names(
    """
    Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir RmDir
    ReadDir FsStat
    """
)
_V3 = _names(
    """
    Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename Link
    ReadDir ReadDirPlus FsStat FsInfo PathConf Commit
    """
)
_V4 = _names(
    """
    Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID
    SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create
    Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner Secinfo
    FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo
    LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession
    DestroyClientID Seek Allocate DeAllocate LayoutStats Clone
    """
)
_V4_OPERATIONS = _names(
    """
    - - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup
    LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink Remove Rename Renew
    RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner
    """
)
"""Procedures in the kernel's order. Newer kernels only append to it."""
_UNUSED_OPERATIONS = ("-", "Null")
"""Placeholders for unused operation numbers, and the NULL procedure."""
_PROTOCOLS = ("udp", "tcp")


def _nfs(name: str, text: str, *labels: str) -> Family:
    return counter(f"node_nfs_{name}_total", text, *labels)


def _nfsd(name: str, text: str, *labels: str) -> Family:
    return counter(f"node_nfsd_{name}_total", text, *labels)


REQUESTS = _nfs("requests", "Requests to NFS servers, by version and procedure.", "proto", "method")
PACKETS = _nfs("packets", "Packets of the NFS client, by transport protocol (udp, tcp).", "protocol")
CONNECTIONS = _nfs("connections", "TCP connections that the NFS client opened.")
RPCS = {
    0: _nfs("rpcs", "Remote procedure calls (RPCs) to NFS servers."),
    1: _nfs("rpc_retransmissions", "RPCs retransmitted to NFS servers."),
    2: _nfs("rpc_authentication_refreshes", "Credentials refreshed for RPCs."),
}
SERVED = _nfsd("requests", "Requests served by the NFS server, by version and procedure.", "proto", "method")
SERVER_PACKETS = _nfsd("packets", "Packets received by the NFS server, by transport protocol (udp, tcp).", "proto")
SERVER_ERRORS = _nfsd("rpc_errors", "RPCs rejected by the NFS server, by error.", "error")
SERVER: dict[str, dict[int, Family]] = {
    "rc": {
        0: _nfsd("reply_cache_hits", "Replies served from the reply cache to retransmitted requests."),
        1: _nfsd("reply_cache_misses", "Requests whose reply was stored in the reply cache."),
        2: _nfsd("reply_cache_nocache", "Requests whose reply need not be cached."),
    },
    "fh": {0: _nfsd("file_handles_stale", "Stale file handles received from clients.")},
    "io": {
        0: _nfsd("disk_bytes_read", "Bytes that the NFS server read for clients."),
        1: _nfsd("disk_bytes_written", "Bytes that the NFS server wrote for clients."),
    },
    "th": {0: gauge("node_nfsd_server_threads", "Threads of the NFS server.")},
    "ra": {
        0: gauge("node_nfsd_read_ahead_cache_size_blocks", "Size of the read-ahead cache, in blocks."),
        11: _nfsd("read_ahead_cache_not_found", "Reads not found in the read-ahead cache."),
    },
    "net": {3: _nfsd("connections", "TCP connections that the NFS server accepted.")},
    "rpc": {0: _nfsd("server_rpcs", "Remote procedure calls (RPCs) received by the NFS server.")},
}
_RPC_ERRORS = ((2, "fmt"), (3, "auth"), (4, "cInt"))
Lines = dict[str, list[str]]


def read(host: Host, name: str) -> str | None:
    """Return the statistics of the client or the server, None if it does not exist."""
    try:
        return host.pid1(f"net/rpc/{name}")
    except FileNotFoundError:
        return None


def lines(text: str) -> Lines:
    """Return the numbers of each line by its first word."""
    return {words[0]: words[1:] for line in lines_of(text) if (words := words_of(line))}


def requests(version: str, methods: tuple[str, ...], numbers: list[str], silent: tuple[str, ...] = ()) -> list[Sample]:
    """Return the counts of procedures, which follow the number of procedures. Newer kernels have more procedures."""
    pairs = zip(methods, numbers[1:], strict=False)
    return [((version, method), int(number)) for method, number in pairs if method not in silent]


def parse_client(text: str | None) -> Metrics:
    """Return the metrics of the client. A version that the kernel does not support has no line."""
    if text is None:
        return []
    found = lines(text)
    calls: list[Sample] = []
    for version, methods in (("2", _V2), ("3", _V3), ("4", _V4)):
        calls += requests(version, methods, found.get(f"proc{version}", []))
    net, rpc = found["net"], found["rpc"]
    return [
        (REQUESTS, calls),
        (PACKETS, [((protocol,), int(number)) for protocol, number in zip(_PROTOCOLS, net[1:], strict=False)]),
        (CONNECTIONS, [((), int(net[3]))]),
        *((family, [((), int(rpc[column]))]) for column, family in RPCS.items()),
    ]


def parse_server(text: str | None) -> Metrics:
    """Return the metrics of the server from the lines that exist."""
    if text is None:
        return []
    found = lines(text)
    calls = requests("2", _V2, found.get("proc2", []), _UNUSED_OPERATIONS) + requests(
        "3", _V3, found.get("proc3", []), _UNUSED_OPERATIONS
    )
    calls += requests("4", _V4_OPERATIONS, found.get("proc4ops", []), _UNUSED_OPERATIONS)
    if delegated := found.get("wdeleg_getattr"):
        calls.append((("4", "WdelegGetattr"), int(delegated[0])))
    net, rpc = found["net"], found["rpc"]
    return [
        (SERVED, calls),
        (SERVER_PACKETS, [((protocol,), int(number)) for protocol, number in zip(_PROTOCOLS, net[1:], strict=False)]),
        (SERVER_ERRORS, [((what,), int(rpc[column])) for column, what in _RPC_ERRORS]),
        *(
            (family, [((), int(found[word][column]))])
            for word, columns in SERVER.items()
            if word in found
            for column, family in columns.items()
        ),
    ]


def _declared(server: Mapping[str, Mapping[int, Family]]) -> tuple[Family, ...]:
    return tuple(family for columns in server.values() for family in columns.values())


class NfsClient(Collector):
    """Requests of the host's NFS client."""

    name = "nfs"
    summary = "requests to NFS servers"
    families = (REQUESTS, PACKETS, CONNECTIONS, *RPCS.values())

    def collect(self) -> Metrics:
        """Return the requests of the NFS client from /proc/1/net/rpc/nfs."""
        return self.parse_if_changed(read(self.host, "nfs"), parse_client)


class NfsServer(Collector):
    """Requests to the host's NFS server."""

    name = "nfsd"
    summary = "requests to the host's own NFS server"
    families = (SERVED, SERVER_PACKETS, SERVER_ERRORS, *_declared(SERVER))

    def collect(self) -> Metrics:
        """Return the requests and cache statistics of the NFS server from /proc/1/net/rpc/nfsd."""
        return self.parse_if_changed(read(self.host, "nfsd"), parse_server)
