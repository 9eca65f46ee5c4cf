"""Ports of InfiniBand and RoCE adapters, from ``/sys/class/infiniband`` (kernel: ABI/stable/sysfs-class-infiniband).

A port's counters are files with one number each, in ``counters`` and, depending on the driver, in ``hw_counters``.
Kernels before 4.5 have the 64-bit counters in ``counters_ext``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, whole
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_PORT = ("device", "port")
INFO = gauge(
    *("node_infiniband_info", "1, labeled with the properties of an InfiniBand adapter."),
    *("device", "board_id", "firmware_version", "hca_type"),
)
STATE = gauge(
    "node_infiniband_state_id", "State of a port: 0 unchanged, 1 down, 2 init, 3 armed, 4 active, 5 deferred.", *_PORT
)
PHYSICAL = gauge(
    "node_infiniband_physical_state_id",
    "Physical state of a port: 1 sleep, 2 polling, 3 disabled, 4 training, 5 up, 6 recovering, 7 test.",
    *_PORT,
)
RATE = gauge("node_infiniband_rate_bytes_per_second", "Maximum transfer rate of a port, in bytes per second.", *_PORT)
LIFESPAN = gauge(
    "node_infiniband_lifespan_seconds", "Time for which the adapter caches its counters, in seconds.", *_PORT
)
_FILES = {
    "counters": {
        "excessive_buffer_overrun_errors": (
            "excessive_buffer_overrun_errors",
            "Times that receive buffers of the port overflowed in several consecutive flow-control periods.",
        ),
        "link_downed": ("link_downed", "Times that error recovery of the link failed and the link went down."),
        "link_error_recovery": ("link_error_recovery", "Times that the link recovered from an error."),
        "local_link_integrity_errors": (
            "local_link_integrity_errors",
            "Times that the number of local physical errors exceeded the port's threshold.",
        ),
        "multicast_rcv_packets": (
            "multicast_packets_received",
            "Multicast packets received on the port, including packets with errors.",
        ),
        "multicast_xmit_packets": (
            "multicast_packets_transmitted",
            "Multicast packets sent from the port, including packets with errors.",
        ),
        "port_rcv_constraint_errors": (
            "port_constraint_errors_received",
            "Packets received on a switch port and discarded by its filters or partition check.",
        ),
        "port_rcv_data": ("port_data_received_bytes", "Data received on all virtual lanes of the port, in bytes."),
        "port_rcv_discards": (
            "port_discards_received",
            "Packets received and discarded because the port was down or congested.",
        ),
        "port_rcv_errors": ("port_errors_received", "Packets with errors received on the port."),
        "port_rcv_packets": (
            "port_packets_received",
            "Packets received on all virtual lanes of the port, including packets with errors.",
        ),
        "port_rcv_remote_physical_errors": (
            "port_receive_remote_physical_errors",
            "Packets received that another device had marked as bad (EBP delimiter).",
        ),
        "port_rcv_switch_relay_errors": (
            "port_receive_switch_relay_errors",
            "Packets received and discarded because the switch could not forward them.",
        ),
        "port_xmit_constraint_errors": (
            "port_constraint_errors_transmitted",
            "Packets that a switch port did not send because of its filters or partition check.",
        ),
        "port_xmit_data": ("port_data_transmitted_bytes", "Data sent on all virtual lanes of the port, in bytes."),
        "port_xmit_discards": (
            "port_discards_transmitted",
            "Packets to send that were discarded because the port was down or congested.",
        ),
        "port_xmit_packets": (
            "port_packets_transmitted",
            "Packets sent on all virtual lanes of the port, including packets with errors.",
        ),
        "port_xmit_wait": (
            "port_transmit_wait",
            "Clock ticks of the port during which it had data to send and could not send any.",
        ),
        "symbol_error": ("symbol_error", "Minor physical errors of the link (wrong symbols)."),
        "unicast_rcv_packets": (
            "unicast_packets_received",
            "Unicast packets received on the port, including packets with errors.",
        ),
        "unicast_xmit_packets": (
            "unicast_packets_transmitted",
            "Unicast packets sent from the port, including packets with errors.",
        ),
        "VL15_dropped": (
            "vl15_dropped",
            "Management packets (virtual lane 15) dropped because the port lacked buffers.",
        ),
    },
    "counters_ext": {
        "port_multicast_rcv_packets": (
            "legacy_multicast_packets_received",
            "Multicast packets received on the port (kernels before 4.5).",
        ),
        "port_multicast_xmit_packets": (
            "legacy_multicast_packets_transmitted",
            "Multicast packets sent from the port (kernels before 4.5).",
        ),
        "port_rcv_data_64": ("legacy_data_received_bytes", "Data received on the port, in bytes (kernels before 4.5)."),
        "port_rcv_packets_64": ("legacy_packets_received", "Packets received on the port (kernels before 4.5)."),
        "port_unicast_rcv_packets": (
            "legacy_unicast_packets_received",
            "Unicast packets received on the port (kernels before 4.5).",
        ),
        "port_unicast_xmit_packets": (
            "legacy_unicast_packets_transmitted",
            "Unicast packets sent from the port (kernels before 4.5).",
        ),
        "port_xmit_data_64": (
            "legacy_data_transmitted_bytes",
            "Data sent from the port, in bytes (kernels before 4.5).",
        ),
        "port_xmit_packets_64": ("legacy_packets_transmitted", "Packets sent from the port (kernels before 4.5)."),
    },
    "hw_counters": {
        "duplicate_request": ("duplicate_requests_packets", "Packets received that repeat an earlier request."),
        "implied_nak_seq_err": (
            "implied_nak_seq_errors",
            "Acknowledgments received whose sequence number was larger than expected for an RDMA read or response.",
        ),
        "local_ack_timeout_err": (
            "local_ack_timeout_errors",
            "Times that a queue pair of this port got no acknowledgment in time.",
        ),
        "np_cnp_sent": (
            "np_cnp_packets_sent",
            "Congestion notification packets (CNP) sent because received packets had a congestion mark.",
        ),
        "np_ecn_marked_roce_packets": (
            "np_ecn_marked_roce_packets_received",
            "RoCE v2 packets received with a congestion mark (ECN).",
        ),
        "out_of_buffer": ("out_of_buffer_drops", "Packets dropped because a queue pair had no receive buffer posted."),
        "out_of_sequence": ("out_of_sequence_packets_received", "Packets received out of sequence."),
        "packet_seq_err": ("packet_sequence_errors", "Negative acknowledgments received for packets out of sequence."),
        "req_cqe_error": ("req_cqes_errors", "Requests of this port that completed with an error."),
        "req_cqe_flush_error": (
            "req_cqes_flush_errors",
            "Requests of this port that were flushed because their queue pair was in the error state.",
        ),
        "req_remote_access_errors": (
            "req_remote_access_errors",
            "Requests of this port that failed because the remote side denied access to its memory.",
        ),
        "req_remote_invalid_request": (
            "req_remote_invalid_request_errors",
            "Requests of this port that the remote side rejected as invalid.",
        ),
        "resp_cqe_error": ("resp_cqes_errors", "Receive operations of this port that completed with an error."),
        "resp_cqe_flush_error": (
            "resp_cqes_flush_errors",
            "Receive operations of this port that were flushed because their queue pair was in the error state.",
        ),
        "resp_local_length_error": (
            "resp_local_length_errors",
            "Requests received whose length did not fit the posted receive buffer.",
        ),
        "resp_remote_access_errors": (
            "resp_remote_access_errors",
            "Requests received that were denied access to this node's memory.",
        ),
        "rnr_nak_retry_err": (
            "rnr_nak_retry_packets_received",
            "Packets received that report a remote side without receive buffers (RNR NAK).",
        ),
        "roce_adp_retrans": ("roce_adp_retransmits", "Adaptive retransmissions of RoCE traffic."),
        "roce_adp_retrans_to": (
            "roce_adp_retransmits_timeout",
            "Times that RoCE traffic reached the timeout of adaptive retransmission.",
        ),
        "roce_slow_restart": ("roce_slow_restart_used", "Times that RoCE slow restart was used."),
        "roce_slow_restart_cnps": (
            "roce_slow_restart_cnps",
            "Congestion notification packets (CNP) that RoCE slow restart generated.",
        ),
        "roce_slow_restart_trans": ("roce_slow_restart", "Times that RoCE traffic changed to the state slow restart."),
        "rp_cnp_handled": (
            "rp_cnp_packets_handled",
            "Congestion notification packets (CNP) received that reduced the sending rate.",
        ),
        "rp_cnp_ignored": (
            "rp_cnp_ignored_packets_received",
            "Congestion notification packets (CNP) received and ignored.",
        ),
        "rx_atomic_requests": ("rx_atomic_requests", "Atomic requests received."),
        "rx_dct_connect": (
            "rx_dct_connect_requests",
            "Connection requests received for dynamically connected transport (DCT).",
        ),
        "rx_icrc_encapsulated": ("rx_icrc_encapsulated_errors", "RoCE packets received with a wrong checksum (ICRC)."),
        "rx_read_requests": ("rx_read_requests", "RDMA read requests received."),
        "rx_write_requests": ("rx_write_requests", "RDMA write requests received."),
    },
}
"""By directory and file: the name of the family, and its help text (mlx5 driver's terms for ``hw_counters``)."""
_OCTETS = 4
"""Factor of data counters: the standard counts data in units of four octets."""
COUNTERS: dict[tuple[str, str], Family] = {
    (directory, file): counter(f"node_infiniband_{name}_total", text, *_PORT)
    for directory, files in _FILES.items()
    for file, (name, text) in files.items()
}
_ROOT = "class/infiniband"
_GBIT = 1_000_000_000 / 8


@dataclass(frozen=True, slots=True)
class InfinibandPort:
    """One port: its own files, and the files of each of its counter directories."""

    device: str
    number: str
    files: Mapping[str, str]
    counters: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter and its ports."""

    name: str
    files: Mapping[str, str]
    ports: tuple[InfinibandPort, ...]


def read(host: Host, devices: Filter) -> list[Adapter]:
    """Return the files of all adapters. Skip an adapter that is removed during the read."""

    def adapter(entry: str) -> Adapter:
        place = f"{_ROOT}/{entry}"
        files = host.sys_attributes(place, ("board_id", "fw_ver", "hca_type"))
        ports = host.sys_each(f"{place}/ports", lambda number: _port(host, entry, number))
        return Adapter(entry, files, tuple(ports.values()))

    return list(host.sys_each(_ROOT, adapter, devices.keeps).values())


def _port(host: Host, device: str, number: str) -> InfinibandPort:
    """Return the files of one port. Its counter directories depend on the kernel and the driver."""
    place = f"{_ROOT}/{device}/ports/{number}"
    counters = {
        directory: host.optional_attributes(f"{place}/{directory}", (*files, "lifespan"))
        for directory, files in _FILES.items()
    }
    return InfinibandPort(device, number, host.sys_attributes(place, ("state", "phys_state", "rate")), counters)


def state_number(text: str) -> int:
    """Return the number of a state such as ``4: ACTIVE``."""
    return whole(text.partition(":")[0])


def bytes_per_second(text: str) -> int:
    """Return the rate of a text such as ``100 Gb/sec (4X EDR)``."""
    return int(float(text.split(maxsplit=1)[0]) * _GBIT)


_STATES = ((STATE, "state", state_number), (PHYSICAL, "phys_state", state_number), (RATE, "rate", bytes_per_second))


def parse(adapters: Iterable[Adapter], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the numbers of adapters and ports. An adapter lacks some counters (``N/A (no PMA)``)."""
    infos: list[Sample] = []
    gauges: dict[Family, list[Sample]] = {STATE: [], PHYSICAL: [], RATE: [], LIFESPAN: []}
    counts: dict[tuple[str, str], list[Sample]] = {key: [] for key in COUNTERS}
    for adapter in adapters:
        labels = (adapter.files.get(file, "") for file in ("board_id", "fw_ver", "hca_type"))
        infos.append(((adapter.name, *labels), 1))
        for port in adapter.ports:
            place = (port.device, port.number)
            path = f"{_ROOT}/{port.device}/ports/{port.number}"
            for family, file, convert in _STATES:
                if (value := parse_file(skips, port.files, file, path, convert)) is not None:
                    gauges[family].append((place, value))
            for directory, files in port.counters.items():
                for file in files:
                    if (count := parse_file(skips, files, file, f"{path}/{directory}", whole)) is None:
                        continue
                    if file == "lifespan":
                        gauges[LIFESPAN].append((place, count / 1000))
                    else:
                        factor = _OCTETS if "data" in file else 1
                        counts[directory, file].append((place, count * factor))
    return [(INFO, infos), *gauges.items(), *((COUNTERS[key], samples) for key, samples in counts.items())]


class InfiniBand(Collector):
    """State, traffic and errors of InfiniBand and RoCE ports."""

    name = "infiniband"
    summary = "state and counters of InfiniBand and RoCE ports"
    families = (INFO, STATE, PHYSICAL, RATE, LIFESPAN, *COUNTERS.values())
    filter_flags = (FilterFlags.of("device", "adapters", ""),)

    def collect(self) -> Metrics:
        """Return state and counters of each port from /sys/class/infiniband."""
        return self.parse_parts_if_changed(read(self.host, self.filter("device-exclude")), parse)
