"""Ports of Fibre Channel adapters, from ``/sys/class/fc_host`` (kernel: drivers/scsi/scsi_transport_fc.c)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_file, prefixed
from metricat_agent.exposition.model import Family, Metrics, Sample, counter, gauge
from metricat_agent.host.ascii_text import BLANKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

_HEXADECIMAL = ("port_id", "port_name", "fabric_name")
"""Exposed without the prefix ``0x``."""
LABELS = (
    *("speed", "port_state", "port_type", *_HEXADECIMAL, "symbolic_name"),
    *("supported_classes", "supported_speeds", "dev_loss_tmo"),
)
INFO = gauge("node_fibrechannel_info", "1, labeled with the properties of a port.", "fc_host", *LABELS)
COUNTERS: dict[str, Family] = {
    file: counter(f"node_fibrechannel_{name}_total", text, "fc_host")
    for file, name, text in (
        ("dumped_frames", "dumped_frames", "Frames dropped because buffers were full."),
        ("error_frames", "error_frames", "Frames received with errors."),
        ("invalid_crc_count", "invalid_crc", "Frames received with a wrong checksum (CRC)."),
        ("rx_frames", "rx_frames", "Frames received."),
        ("rx_words", "rx_words", "Words of 4 bytes received."),
        ("tx_frames", "tx_frames", "Frames sent."),
        ("tx_words", "tx_words", "Words of 4 bytes sent."),
        ("seconds_since_last_reset", "seconds_since_last_reset", "Time since the counters were reset, in seconds."),
        ("invalid_tx_word_count", "invalid_tx_words", "Invalid transmission words received."),
        ("link_failure_count", "link_failure", "Times that the link failed."),
        ("loss_of_sync_count", "loss_of_sync", "Times that the port lost synchronization."),
        ("loss_of_signal_count", "loss_of_signal", "Times that the port lost the signal."),
        ("nos_count", "nos", "Not-operational sequences (NOS) received."),
        ("fcp_packet_aborts", "fcp_packet_aborts", "Packets of SCSI commands (FCP) that were aborted."),
    )
}
_NOT_COUNTED = (1 << 64) - 1
"""Value of counters that the adapter does not support."""


class FibreChannelPort(NamedTuple):
    """One port: its name, its files, and its counters."""

    name: str
    files: Mapping[str, str]
    statistics: Mapping[str, str]


def read(host: Host) -> list[FibreChannelPort]:
    """Return the files and counters of each port."""

    def port(entry: str) -> FibreChannelPort:
        files = host.sys_attributes(f"class/fc_host/{entry}", LABELS)
        return FibreChannelPort(entry, files, host.optional_attributes(f"class/fc_host/{entry}/statistics", COUNTERS))

    return list(host.sys_each("class/fc_host", port).values())


def parse(ports: Iterable[FibreChannelPort], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the properties and counters of each port. The kernel writes counters in hexadecimal."""
    infos: list[Sample] = []
    columns: dict[str, list[Sample]] = {file: [] for file in COUNTERS}
    for port in ports:
        texts = {label: port.files.get(label, "").strip(BLANKS) for label in LABELS}
        texts |= {label: texts[label].removeprefix("0x") for label in _HEXADECIMAL}
        infos.append(((port.name, *texts.values()), 1))
        for file, samples in columns.items():
            number = parse_file(skips, port.statistics, file, f"class/fc_host/{port.name}/statistics", prefixed)
            if number is not None and number != _NOT_COUNTED:
                samples.append(((port.name,), number))
    return [(INFO, infos), *((COUNTERS[file], samples) for file, samples in columns.items())]


class FibreChannel(Collector):
    """State and counters of Fibre Channel ports."""

    name = "fibrechannel"
    summary = "ports of Fibre Channel adapters"
    families = (INFO, *COUNTERS.values())

    def collect(self) -> Metrics:
        """Return state and counters of each port from /sys/class/fc_host."""
        return self.parse_parts_if_changed(read(self.host), parse)
