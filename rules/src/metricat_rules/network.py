"""Alerts about network devices and connections."""

from metricat_rules.alert import NODE, Alert, Level, plural
from metricat_rules.recording import KEYS

VIRTUAL = "lo|veth.*|br-.*|docker.*|cni.*|cali.*|cilium.*|lxc.*|flannel.*|vxlan.*|geneve.*|tun.*|tap.*|virbr.*|kube-.*|"
VIRTUAL += "nodelocaldns|dummy.*|ifb.*|wg.*"
"""Names of devices that are not physical links, by convention."""

_DEVICE = f"{{{{ $labels.device }}}} on {NODE}"
_PACKETS = "metricat:node_network_packets:rate{<selector>} >= 10"

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeNetworkBandwidthHigh",
        meaning="A physical link is nearly full in one direction. Links that do not report their speed are ignored.",
        expr=f'metricat:node_network_bandwidth:percent{{device!~"{VIRTUAL}",<selector>}} >= <threshold>',
        resource="bandwidth {{ $labels.device }}",
        summary="Link {{ $labels.device }} on {{ $labels.node }} is nearly full",
        description=f'{_DEVICE} uses {{{{ $value | printf "%.1f" }}}} % of its speed to {{{{ $labels.direction }}}} '
        "(threshold <threshold> %).",
        action="Find the pod with the kubelet's container_network_receive_bytes_total and ..._transmit_bytes_total.",
        unit="%",
        levels=(Level("warning", 80, "5m"), Level("critical", 95, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeNetworkDropsHigh",
        meaning="A physical link drops packets because a buffer is full or no program receives them. Links with fewer "
        "than 10 packets a second are ignored.",
        expr=f'100 * metricat:node_network_drop:ratio{{device!~"{VIRTUAL}",<selector>}} >= <threshold> and {_PACKETS}',
        resource="drops {{ $labels.device }}",
        summary="{{ $labels.device }} on {{ $labels.node }} drops packets",
        description=f'{_DEVICE} drops {{{{ $value | printf "%.2f" }}}} % of the packets to {{{{ $labels.direction }}}} '
        "(threshold <threshold> %).",
        action="Run ethtool -S {{ $labels.device }} | grep -iE 'drop|miss|fifo' on the node to see where the "
        "packets are dropped.",
        unit="% of packets",
        levels=(Level("warning", 1, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeNetworkErrorsHigh",
        meaning="A device has packets with errors, for example because of a bad cable, port or driver. Devices with "
        "fewer than 10 packets a second are ignored.",
        expr=f"100 * metricat:node_network_error:ratio{{<selector>}} >= <threshold> and {_PACKETS}",
        resource="errors {{ $labels.device }}",
        summary="{{ $labels.device }} on {{ $labels.node }} has packets with errors",
        description=f"{_DEVICE} has errors in "
        '{{ $value | printf "%.2f" }} % '
        "of the packets to {{ $labels.direction }} (threshold <threshold> %).",
        action="Run ethtool -S {{ $labels.device }} | grep -iE 'err|crc' on the node. CRC errors mean a bad cable, "
        "transceiver or port.",
        unit="% of packets",
        levels=(Level("warning", 1, "15m"),),
        keep_firing=True,
    ),
    Alert(
        name="NodeConntrackHigh",
        meaning="The connection tracking table is nearly full. When it is full, the kernel drops new connections.",
        expr="metricat:node_conntrack_usage:percent{<selector>} > <threshold>",
        resource="conntrack",
        summary="The connection tracking table of {{ $labels.node }} is nearly full",
        description=f'The connection tracking table of {NODE} is {{{{ $value | printf "%.1f" }}}} % full '
        "(threshold <threshold> %).",
        action="Run conntrack -L | awk '{print $5}' | sort | uniq -c | sort -n | tail on the node to find the clients "
        "with "
        "the most connections. Until they have fewer connections, raise nf_conntrack_max.",
        unit="%",
        levels=(Level("warning", 75, "5m"), Level("critical", 90, "5m")),
        keep_firing=True,
    ),
    Alert(
        name="NodeBondDegraded",
        meaning="Links of a bond are down.",
        expr=f"max by ({KEYS}, master) (node_bonding_slaves{{<selector>}}) "
        f"- max by ({KEYS}, master) (node_bonding_active{{<selector>}}) > 0",
        resource="bond {{ $labels.master }}",
        summary="Bond {{ $labels.master }} on {{ $labels.node }} is degraded",
        description=f"{plural('link is', 'links are')} down in bond {{{{ $labels.master }}}} on {NODE}.",
        action="Run cat /proc/net/bonding/{{ $labels.master }} on the node to find the link that is down.",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="NodeInterfaceFlapping",
        meaning="A physical link went up or down more than twice within 2 minutes.",
        expr=f"max by ({KEYS}, device) "
        f'(increase(node_network_carrier_changes_total{{device!~"{VIRTUAL}",<selector>}}[2m])) >= <threshold>',
        resource="link {{ $labels.device }}",
        summary="Link {{ $labels.device }} on {{ $labels.node }} flaps",
        description=f'{_DEVICE} went up or down {{{{ $value | printf "%.0f" }}}} times within 2 minutes '
        "(threshold <threshold>).",
        action="Run dmesg -T | grep {{ $labels.device }} on the node to see when the link went down, and the driver's "
        "messages.",
        unit="changes within 2 minutes",
        levels=(Level("warning", 3, "2m"),),
        keep_firing=True,
    ),
)
