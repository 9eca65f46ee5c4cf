"""TCP connections by state, from ``/proc/1/net/tcp`` and ``tcp6``. The cost grows with the number of connections."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.host.hostfs import Host

CONNECTIONS = gauge("node_tcp_connection_states", "TCP connections by state.", "state")
STATES = (
    *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing"),
)
_STATE = 3


def read(host: Host) -> list[str]:
    """Return the text of /proc/1/net/tcp and tcp6, if they exist."""
    found = []
    for name in ("net/tcp", "net/tcp6"):
        try:
            found.append(host.pid1(name))
        except FileNotFoundError:
            continue
    return found


def parse(tables: Iterable[str]) -> Metrics:
    """Return the number of connections per state. The fourth column is the state (kernel: include/net/tcp_states.h)."""
    counts = Counter(int(line.split(None, 4)[_STATE], 16) for text in tables for line in text.splitlines()[1:])
    known = [((name,), counts.get(number, 0)) for number, name in enumerate(STATES, 1)]
    return [(CONNECTIONS, [(labels, count) for labels, count in known if count])]


class TcpStates(Collector):
    """TCP connections by state."""

    name = "tcpstat"
    summary = "TCP connections of the host by state"
    families = (CONNECTIONS,)
    on_by_default = False

    def collect(self) -> Metrics:
        """Return the number of TCP connections per state from /proc/1/net/tcp and tcp6."""
        return parse(read(self.host))
