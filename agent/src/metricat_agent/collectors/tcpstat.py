"""TCP connections by state, from ``/proc/1/net/tcp`` and ``tcp6``. The cost grows with the number of connections."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, parse_part
from metricat_agent.exposition.model import Metrics, gauge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

CONNECTIONS = gauge("node_tcp_connection_states", "TCP connections by state.", "state")
STATES = (
    *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing"),
)
_STATE = 3


_TABLES = ("net/tcp", "net/tcp6")


def read(host: Host) -> Mapping[str, str]:
    """Return the text of /proc/1/net/tcp and tcp6 by name, if they exist."""
    texts = {name: host.optional_pid1(name) for name in _TABLES}
    return {name: text for name, text in texts.items() if text is not None}


def parse(tables: Mapping[str, str], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the number of connections per state. The fourth column is the state (kernel: include/net/tcp_states.h)."""
    counts: Counter[int] = Counter()
    for name, text in tables.items():
        counts += parse_part(skips, name, count_states, text) or Counter()
    names = dict(enumerate(STATES, 1))
    found = sorted(counts.items())
    return [(CONNECTIONS, [((names.get(number, f"state_{number}"),), count) for number, count in found if count])]


def count_states(text: str) -> Counter[int]:
    """Return the number of connections of one table by the number of their state."""
    _, *rows = lines_of(text)
    if not rows and "local_address" not in text:
        raise ValueError("the table has neither a heading nor a row")
    return Counter(int(line.split(None, 4)[_STATE], 16) for line in rows)


class TcpStates(Collector):
    """TCP connections by state."""

    name = "tcpstat"
    summary = "TCP connections of the host by state"
    families = (CONNECTIONS,)
    on_by_default = False

    def collect(self) -> Metrics:
        """Return the number of TCP connections per state from /proc/1/net/tcp and tcp6."""
        return parse(read(self.host), self.host.skips)
