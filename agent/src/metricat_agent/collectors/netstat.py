"""Counters of the host's network protocols, from ``/proc/1/net/{netstat,snmp,snmp6}`` (``man 5 proc_pid_net``)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.fields import FieldList, fields_option
from metricat_agent.collectors.parts import UNCOUNTED, lines_of, name_part, parse_part
from metricat_agent.exposition.model import Family, Metrics, single, untyped

if TYPE_CHECKING:
    import re

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

FIELDS = fields_option(
    r"^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)
MEANINGS = {
    "Icmp_InErrors": "ICMP messages received with errors.",
    "Icmp_InMsgs": "ICMP messages received.",
    "Icmp_OutMsgs": "ICMP messages sent.",
    "Icmp6_InErrors": "ICMPv6 messages received with errors.",
    "Icmp6_InMsgs": "ICMPv6 messages received.",
    "Icmp6_OutMsgs": "ICMPv6 messages sent.",
    "Ip_Forwarding": "1 if the host forwards IPv4 packets, 2 if not.",
    "IpExt_InOctets": "Bytes received in IPv4 packets.",
    "IpExt_OutOctets": "Bytes sent in IPv4 packets.",
    "Ip6_InOctets": "Bytes received in IPv6 packets.",
    "Ip6_OutOctets": "Bytes sent in IPv6 packets.",
    "Tcp_ActiveOpens": "TCP connections opened by the host.",
    "Tcp_CurrEstab": "Established TCP connections, including half-closed ones.",
    "Tcp_InErrs": "TCP segments received with errors.",
    "Tcp_InSegs": "TCP segments received.",
    "Tcp_OutRsts": "TCP resets sent.",
    "Tcp_OutSegs": "TCP segments sent, without retransmissions.",
    "Tcp_PassiveOpens": "TCP connections opened by other hosts.",
    "Tcp_RetransSegs": "TCP segments retransmitted.",
    "TcpExt_ListenDrops": "Connections dropped by listening sockets.",
    "TcpExt_ListenOverflows": "Connections dropped because the accept queue of the socket was full.",
    "TcpExt_SyncookiesFailed": "Invalid SYN cookies received.",
    "TcpExt_SyncookiesRecv": "SYN cookies received.",
    "TcpExt_SyncookiesSent": "SYN cookies sent.",
    "TcpExt_TCPOFOQueue": "TCP segments received out of order and queued.",
    "TcpExt_TCPRcvQDrop": "TCP segments dropped because the receive queue was full.",
    "TcpExt_TCPSynRetrans": "TCP SYN segments retransmitted.",
    "TcpExt_TCPTimeouts": "Times that the retransmission timer of a TCP connection expired.",
    "Udp_InDatagrams": "UDP datagrams delivered.",
    "Udp_InErrors": "UDP datagrams not delivered for other reasons than a missing listener.",
    "Udp_NoPorts": "UDP datagrams to ports without a listener.",
    "Udp_OutDatagrams": "UDP datagrams sent.",
    "Udp_RcvbufErrors": "UDP datagrams lost because a receive buffer was full.",
    "Udp_SndbufErrors": "UDP datagrams lost because a send buffer was full.",
    "Udp6_InDatagrams": "UDP datagrams over IPv6 delivered.",
    "Udp6_InErrors": "UDP datagrams over IPv6 that could not be delivered.",
    "Udp6_NoPorts": "UDP datagrams over IPv6 to ports without a listener.",
    "Udp6_OutDatagrams": "UDP datagrams over IPv6 sent.",
    "Udp6_RcvbufErrors": "UDP datagrams over IPv6 lost because a receive buffer was full.",
    "Udp6_SndbufErrors": "UDP datagrams over IPv6 lost because a send buffer was full.",
    "UdpLite_InErrors": "UDP-Lite datagrams that could not be delivered.",
    "UdpLite6_InErrors": "UDP-Lite datagrams over IPv6 that could not be delivered.",
}
FAMILIES = {field: untyped(f"node_netstat_{field}", text) for field, text in MEANINGS.items()}
TABLES, LIST = ("net/netstat", "net/snmp"), "net/snmp6"
_PROTOCOLS6 = ("Ip6", "Icmp6", "Udp6", "UdpLite6")

Columns = list[tuple[int, Family]]
_SHOWN = 20


def read(host: Host) -> tuple[dict[str, str], str | None]:
    """Return the texts of net/netstat and net/snmp by name, if they exist, and of net/snmp6 (None without IPv6)."""
    texts = {name: host.optional_pid1(name) for name in TABLES}
    return {name: text for name, text in texts.items() if text is not None}, host.optional_pid1(LIST)


def parse_tables(
    text: str, fields: re.Pattern[str], known: dict[str, tuple[int, Columns]], skips: Skips = UNCOUNTED, table: str = ""
) -> Metrics:
    """Return the selected fields from pairs of lines: names, then values. Both begin with the protocol.

    `known` caches the selected columns of each line of names. A protocol without values, or with another number of
    values than names, is left out.
    """
    found: Metrics = []
    names = ""
    for line in [*lines_of(text), ""]:
        protocol = line[: line.find(" ")]
        if " " not in names or not line.startswith(names[: names.find(" ") + 1]):
            if names:
                skips.add("unparsable", f"{table} {names[:_SHOWN]}", "names without values")
            names = line
            continue
        values, names, pair = line, "", names
        width, columns = known.get(pair) or (0, [])
        try:
            if not width:
                width, columns = known[pair] = select_columns(pair, fields)
            numbers = dict(zip(range(width), values.split(), strict=True)) if columns else {}
            found += [single(family, int(numbers[column])) for column, family in columns]
        except ValueError as error:
            skips.add("unparsable", f"{table} {protocol}", error)
    return found


def select_columns(names: str, fields: re.Pattern[str]) -> tuple[int, Columns]:
    """Return the number of words in a line of names, and position and family of the columns that ``fields`` matches."""
    protocol, *rest = names.split()
    protocol = protocol.removesuffix(":")
    keys = ((number, f"{protocol}_{name}") for number, name in enumerate(rest, 1))
    return 1 + len(rest), [(number, family_of(key)) for number, key in keys if fields.search(key)]


def select6(name: str, fields: re.Pattern[str]) -> Family | None:
    """Return the family of a field of IPv6 if the expression matches its key: ``Udp6_NoPorts`` for ``Udp6NoPorts``."""
    protocol, six, rest = name.partition("6")
    key = f"{protocol}{six}_{rest}"
    return family_of(key) if protocol + six in _PROTOCOLS6 and fields.search(key) else None


def family_of(key: str) -> Family:
    """Return a field's family: a declared one, or a new one for a field that only the user selects."""
    text = f"Value of {key} in /proc/net/netstat, snmp or snmp6."
    return FAMILIES.get(key) or untyped(f"node_netstat_{name_part(key)}", text)


class NetworkStatistics(Collector):
    """Traffic, errors and connections of the host's network protocols."""

    name = "netstat"
    summary = "segments, datagrams, errors and connections of the host's network protocols"
    families = tuple(FAMILIES.values())
    options = (FIELDS,)

    def setup(self) -> None:
        """Create the parser for the fields that the option selects."""
        self._fields = self.option(FIELDS)
        self._columns: dict[str, tuple[int, Columns]] = {}
        self._list = FieldList(lambda name: select6(name, self._fields))

    def collect(self) -> Metrics:
        """Return the selected protocol counters from /proc/1/net/netstat, snmp and snmp6."""
        tables, listed = read(self.host)
        skips = self.host.skips
        found: Metrics = []
        for name, text in tables.items():
            found += parse_part(skips, name, partial(self._parse_table, name), text) or ()
        return found + self.parse_parts_if_changed(listed, self._parse_list)

    def _parse_table(self, name: str, text: str) -> Metrics:
        return parse_tables(text, self._fields, self._columns, self.host.skips, name)

    def _parse_list(self, listed: str | None, skips: Skips) -> Metrics:
        if listed is None:
            return []
        return parse_part(skips, LIST, lambda text: self._list.parse(text, skips, LIST), listed) or []
