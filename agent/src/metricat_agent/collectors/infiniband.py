"""Ports of InfiniBand and RoCE adapters, from ``/sys/class/infiniband`` (kernel: ABI/stable/sysfs-class-infiniband).

A port's counters are files with one number each, in ``counters`` and, depending on the driver, in ``hw_counters``.
Kernels before 4.5 have the 64-bit counters in ``counters_ext``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector, Filter, FilterFlags
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host

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
_NAMES = {
    "counters": {
        "excessive_buffer_overrun_errors": "excessive_buffer_overrun_errors",
        "link_downed": "link_downed",
        "link_error_recovery": "link_error_recovery",
        "local_link_integrity_errors": "local_link_integrity_errors",
        "multicast_rcv_packets": "multicast_packets_received",
        "multicast_xmit_packets": "multicast_packets_transmitted",
        "port_rcv_constraint_errors": "port_constraint_errors_received",
        "port_rcv_data": "port_data_received_bytes",
        "port_rcv_discards": "port_discards_received",
        "port_rcv_errors": "port_errors_received",
        "port_rcv_packets": "port_packets_received",
        "port_rcv_remote_physical_errors": "port_receive_remote_physical_errors",
        "port_rcv_switch_relay_errors": "port_receive_switch_relay_errors",
        "port_xmit_constraint_errors": "port_constraint_errors_transmitted",
        "port_xmit_data": "port_data_transmitted_bytes",
        "port_xmit_discards": "port_discards_transmitted",
        "port_xmit_packets": "port_packets_transmitted",
        "port_xmit_wait": "port_transmit_wait",
        "symbol_error": "symbol_error",
        "unicast_rcv_packets": "unicast_packets_received",
        "unicast_xmit_packets": "unicast_packets_transmitted",
        "VL15_dropped": "vl15_dropped",
    },
    "counters_ext": {
        "port_multicast_rcv_packets": "legacy_multicast_packets_received",
        "port_multicast_xmit_packets": "legacy_multicast_packets_transmitted",
        "port_rcv_data_64": "legacy_data_received_bytes",
        "port_rcv_packets_64": "legacy_packets_received",
        "port_unicast_rcv_packets": "legacy_unicast_packets_received",
        "port_unicast_xmit_packets": "legacy_unicast_packets_transmitted",
        "port_xmit_data_64": "legacy_data_transmitted_bytes",
        "port_xmit_packets_64": "legacy_packets_transmitted",
    },
    "hw_counters": {
        "duplicate_request": "duplicate_requests_packets",
        "implied_nak_seq_err": "implied_nak_seq_errors",
        "local_ack_timeout_err": "local_ack_timeout_errors",
        "np_cnp_sent": "np_cnp_packets_sent",
        "np_ecn_marked_roce_packets": "np_ecn_marked_roce_packets_received",
        "out_of_buffer": "out_of_buffer_drops",
        "out_of_sequence": "out_of_sequence_packets_received",
        "packet_seq_err": "packet_sequence_errors",
        "req_cqe_error": "req_cqes_errors",
        "req_cqe_flush_error": "req_cqes_flush_errors",
        "req_remote_access_errors": "req_remote_access_errors",
        "req_remote_invalid_request": "req_remote_invalid_request_errors",
        "resp_cqe_error": "resp_cqes_errors",
        "resp_cqe_flush_error": "resp_cqes_flush_errors",
        "resp_local_length_error": "resp_local_length_errors",
        "resp_remote_access_errors": "resp_remote_access_errors",
        "rnr_nak_retry_err": "rnr_nak_retry_packets_received",
        "roce_adp_retrans": "roce_adp_retransmits",
        "roce_adp_retrans_to": "roce_adp_retransmits_timeout",
        "roce_slow_restart": "roce_slow_restart_used",
        "roce_slow_restart_cnps": "roce_slow_restart_cnps",
        "roce_slow_restart_trans": "roce_slow_restart",
        "rp_cnp_handled": "rp_cnp_packets_handled",
        "rp_cnp_ignored": "rp_cnp_ignored_packets_received",
        "rx_atomic_requests": "rx_atomic_requests",
        "rx_dct_connect": "rx_dct_connect_requests",
        "rx_icrc_encapsulated": "rx_icrc_encapsulated_errors",
        "rx_read_requests": "rx_read_requests",
        "rx_write_requests": "rx_write_requests",
    },
}
_OCTETS = 4
"""Factor of data counters: the standard counts data in units of four octets."""
COUNTERS: dict[tuple[str, str], Family] = {
    (directory, file): counter(
        f"node_infiniband_{name}_total", f"Counter {file} of the port{', in bytes' * ('data' in file)}.", *_PORT
    )
    for directory, names in _NAMES.items()
    for file, name in names.items()
}
_GBIT = 1_000_000_000 / 8


@dataclass(frozen=True, slots=True)
class InfinibandPort:
    """One port: its own files, and the files of its counter directories."""

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
    """Read all adapters. Skip an adapter that is removed during the read."""
    try:
        entries = host.sys_names("class/infiniband")
    except FileNotFoundError:
        return []
    found = []
    for entry in filter(devices.keeps, entries):
        place = f"class/infiniband/{entry}"
        try:
            files = host.sys_attributes(place, ("board_id", "fw_ver", "hca_type"))
            ports = tuple(_port(host, entry, number) for number in host.sys_names(f"{place}/ports"))
        except OSError:
            continue
        found.append(Adapter(entry, files, ports))
    return found


def _port(host: Host, device: str, number: str) -> InfinibandPort:
    place = f"class/infiniband/{device}/ports/{number}"
    counters = {}
    for directory, names in _NAMES.items():
        try:
            counters[directory] = host.sys_attributes(f"{place}/{directory}", (*names, "lifespan"))
        except FileNotFoundError:  # depends on the kernel and the driver
            continue
    return InfinibandPort(device, number, host.sys_attributes(place, ("state", "phys_state", "rate")), counters)


def parse(adapters: Iterable[Adapter]) -> Metrics:
    """Parse the numbers. Skip counters that the adapter lacks (``N/A (no PMA)``)."""
    infos: list[Sample] = []
    gauges: dict[Family, list[Sample]] = {STATE: [], PHYSICAL: [], RATE: [], LIFESPAN: []}
    counts: dict[tuple[str, str], list[Sample]] = {key: [] for key in COUNTERS}
    for adapter in adapters:
        labels = (adapter.files.get(file, "") for file in ("board_id", "fw_ver", "hca_type"))
        infos.append(((adapter.name, *labels), 1))
        for port in adapter.ports:
            place = (port.device, port.number)
            gauges[STATE].append((place, int(port.files["state"].partition(":")[0])))
            gauges[PHYSICAL].append((place, int(port.files["phys_state"].partition(":")[0])))
            gauges[RATE].append((place, int(float(port.files["rate"].split()[0]) * _GBIT)))
            for directory, files in port.counters.items():
                for file, text in files.items():
                    if not text.isdecimal():
                        continue
                    if file == "lifespan":
                        gauges[LIFESPAN].append((place, int(text) / 1000))
                    else:
                        factor = _OCTETS if "data" in file else 1
                        counts[directory, file].append((place, int(text) * factor))
    return [(INFO, infos), *gauges.items(), *((COUNTERS[key], samples) for key, samples in counts.items())]


class InfiniBand(Collector):
    """State, traffic and errors of InfiniBand and RoCE ports."""

    name = "infiniband"
    summary = "state and counters of InfiniBand and RoCE ports"
    families = (INFO, STATE, PHYSICAL, RATE, LIFESPAN, *COUNTERS.values())
    filter_flags = (FilterFlags.of("device", "adapters", ""),)

    def collect(self) -> Metrics:
        """Read the files and return their metrics."""
        return self.parse_if_changed(read(self.host, self.filter("device-exclude")), parse)
