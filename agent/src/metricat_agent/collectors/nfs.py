"""Requests of the host's NFS client and NFS server, from ``/proc/1/net/rpc/nfs`` and ``nfsd``.

Kernel: net/sunrpc/stats.c, fs/nfs/nfs4proc.c, fs/nfsd/stats.c. Both files belong to a network namespace. So the
collector reads those of process 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips


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
    FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete LayoutGet
    GetDeviceInfo LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession
    DestroyClientID Seek Allocate DeAllocate LayoutStats Clone Copy OffloadCancel LookupP LayoutError CopyNotify
    GetXattr SetXattr ListXattrs RemoveXattr ReadPlus
    """
)
_V4_OPERATIONS = _names(
    """
    - - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku Lookup
    LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH PutPubFH PutRootFH Read ReadDir ReadLink
    Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify Write RelLockOwner
    BackchannelCtl BindConnToSession ExchangeID CreateSession DestroySession FreeStateID GetDirDelegation
    GetDeviceInfo GetDeviceList LayoutCommit LayoutGet LayoutReturn SecinfoNoName Sequence SetSSV TestStateID
    WantDelegation DestroyClientID ReclaimComplete Allocate Copy CopyNotify DeAllocate IOAdvise LayoutError
    LayoutStats OffloadCancel OffloadStatus ReadPlus Seek WriteSame Clone GetXattr SetXattr ListXattrs RemoveXattr
    """
)
"""Procedures of the client in the kernel's order, and operations by number (RFC 7530, 8881, 7862, 8276).

Newer kernels only append to both. What they append has its number as name, such as ``Operation76``.
"""
_UNUSED = ("-", "Null")
"""Placeholders for unused operation numbers, and the NULL procedure, which the server's series leave out."""


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
_PACKETS = {1: ("udp",), 2: ("tcp",)}
_RPC_ERRORS = {2: ("fmt",), 3: ("auth",), 4: ("cInt",)}
Parser = Callable[[Sequence[str]], Iterable[tuple[Family, Sample]]]
"""Yields the samples of a line from its words after the first."""


def read(host: Host, name: str) -> str | None:
    """Return the statistics of the client or the server, None if it does not exist."""
    try:
        return host.pid1(f"net/rpc/{name}")
    except FileNotFoundError:
        return None


def _requests(family: Family, version: str, methods: tuple[str, ...], silent: tuple[str, ...] = ()) -> Parser:
    """Return a parser of a line with the number of procedures and the count of each."""

    def parse(words: Sequence[str]) -> Iterator[tuple[Family, Sample]]:
        total, *counts = [whole(word) for word in words]
        if len(counts) != total:
            raise ValueError(f"the line has {len(counts)} counts, and states {total}")
        for number, count in enumerate(counts):
            method = methods[number] if number < len(methods) else f"Operation{number}"
            if method not in silent:
                yield family, ((version, method), count)

    return parse


def _numbers(families: Mapping[int, Family]) -> Parser:
    """Return a parser of a line with one number for each family, by column."""
    return lambda words: [(family, ((), whole(words[column]))) for column, family in families.items()]


def _labeled(family: Family, labels: Mapping[int, tuple[str, ...]]) -> Parser:
    """Return a parser of a line with the numbers of one family, by column."""
    return lambda words: [(family, (values, whole(words[column]))) for column, values in labels.items()]


_CLIENT_LINES: dict[str, tuple[Parser, ...]] = {
    "proc2": (_requests(REQUESTS, "2", _V2),),
    "proc3": (_requests(REQUESTS, "3", _V3),),
    "proc4": (_requests(REQUESTS, "4", _V4),),
    "net": (_labeled(PACKETS, _PACKETS), _numbers({3: CONNECTIONS})),
    "rpc": (_numbers(RPCS),),
}
_SERVER_LINES: dict[str, tuple[Parser, ...]] = {
    "proc2": (_requests(SERVED, "2", _V2, _UNUSED),),
    "proc3": (_requests(SERVED, "3", _V3, _UNUSED),),
    "proc4ops": (_requests(SERVED, "4", _V4_OPERATIONS, _UNUSED),),
    "wdeleg_getattr": (_labeled(SERVED, {0: ("4", "WdelegGetattr")}),),
    **{word: (_numbers(families),) for word, families in SERVER.items()},
    "net": (_labeled(SERVER_PACKETS, _PACKETS), _numbers(SERVER["net"])),
    "rpc": (_labeled(SERVER_ERRORS, _RPC_ERRORS), _numbers(SERVER["rpc"])),
}


def parse(
    text: str | None, lines: Mapping[str, tuple[Parser, ...]], families: Iterable[Family], skips: Skips, file: str
) -> Metrics:
    """Return the metrics of the known lines of a file. A version that the kernel does not support has no line.

    Raise ValueError if no line is known.
    """
    if text is None:
        return []
    columns: dict[Family, list[Sample]] = {family: [] for family in families}
    known = [words for line in lines_of(text) if (words := words_of(line)) and words[0] in lines]
    if not known:
        raise ValueError(f"no line of {file} has a known name")
    for word, *rest in known:
        for parser in lines[word]:
            for family, sample in parse_part(skips, f"{file} {word}", _of_words(parser, rest), " ".join(rest)) or ():
                columns[family].append(sample)
    return list(columns.items())


def _of_words(parser: Parser, words: Sequence[str]) -> Callable[[str], list[tuple[Family, Sample]]]:
    return lambda _: list(parser(words))


def parse_client(text: str | None, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the metrics of the client from the lines that exist."""
    return parse(text, _CLIENT_LINES, NfsClient.families, skips, "net/rpc/nfs")


def parse_server(text: str | None, skips: Skips = UNCOUNTED) -> Metrics:
    """Return the metrics of the server from the lines that exist."""
    return parse(text, _SERVER_LINES, NfsServer.families, skips, "net/rpc/nfsd")


def _declared(server: Mapping[str, Mapping[int, Family]]) -> tuple[Family, ...]:
    return tuple(family for columns in server.values() for family in columns.values())


class NfsClient(Collector):
    """Requests of the host's NFS client."""

    name = "nfs"
    summary = "requests to NFS servers"
    families = (REQUESTS, PACKETS, CONNECTIONS, *RPCS.values())

    def collect(self) -> Metrics:
        """Return the requests of the NFS client from /proc/1/net/rpc/nfs."""
        return self.parse_parts_if_changed(read(self.host, "nfs"), parse_client)


class NfsServer(Collector):
    """Requests to the host's NFS server."""

    name = "nfsd"
    summary = "requests to the host's own NFS server"
    families = (SERVED, SERVER_PACKETS, SERVER_ERRORS, *_declared(SERVER))

    def collect(self) -> Metrics:
        """Return the requests and cache statistics of the NFS server from /proc/1/net/rpc/nfsd."""
        return self.parse_parts_if_changed(read(self.host, "nfsd"), parse_server)
