"""Usage of nodes and processes, computed from two pages of an agent."""

import pytest

from metricat_cli.usage import NodeUsage, node_usage, parse, processes

BEFORE = """# HELP node_load1 Load.
node_load1 0.5
node_cpu_seconds_total{cpu="0",mode="idle"} 100
node_cpu_seconds_total{cpu="0",mode="iowait"} 10
node_cpu_seconds_total{cpu="0",mode="user"} 5
node_disk_read_bytes_total{device="vda"} 1000
node_network_receive_bytes_total{device="eth0"} 10
node_network_receive_bytes_total{device="lo"} 10
"""
AFTER = """node_load1 1.5
node_cpu_seconds_total{cpu="0",mode="idle"} 102
node_cpu_seconds_total{cpu="0",mode="iowait"} 11
node_cpu_seconds_total{cpu="0",mode="user"} 6
node_cpu_seconds_total{cpu="1",mode="user"} 900
node_memory_MemTotal_bytes 1000
node_memory_MemAvailable_bytes 250
node_disk_read_bytes_total{device="vda"} 3000
node_disk_read_bytes_total{device="new"} 9000
node_network_receive_bytes_total{device="eth0"} 4
node_network_receive_bytes_total{device="lo"} 99999
node_filesystem_size_bytes{device="/dev/vda",mountpoint="/",fstype="ext4"} 100
node_filesystem_avail_bytes{device="/dev/vda",mountpoint="/",fstype="ext4"} 40
node_filesystem_size_bytes{device="/dev/vda",mountpoint="/var/lib/containers",fstype="ext4"} 100
node_filesystem_avail_bytes{device="/dev/vda",mountpoint="/var/lib/containers",fstype="ext4"} 40
node_filesystem_size_bytes{device="/dev/sr0",mountpoint="/cd",fstype="iso9660"} 100
node_filesystem_avail_bytes{device="/dev/sr0",mountpoint="/cd",fstype="iso9660"} 0
node_filesystem_readonly{device="/dev/sr0",mountpoint="/cd",fstype="iso9660"} 1
"""


def test_usage_of_a_node_follows_the_recording_rules() -> None:
    assert node_usage(parse(BEFORE, 10.0), parse(AFTER, 14.0)) == NodeUsage(
        cpu_percent=25.0,  # 1 s of 4 s; the new CPU has no earlier value
        cpus=2,
        load1=1.5,
        memory_percent=75.0,
        memory_used_bytes=750.0,
        filesystem_percent=60.0,
        filesystem="/",  # the read-only one is fuller, the shorter mount point is shown
        disk_read_bytes_per_second=500.0,
        disk_written_bytes_per_second=None,
        network_receive_bytes_per_second=0.0,  # a counter that was reset
        network_transmit_bytes_per_second=None,
    )


def test_page_without_metrics_gives_no_usage() -> None:
    empty = parse("", 1.0)
    assert node_usage(empty, empty) == NodeUsage()
    assert processes(empty) == []


def test_labels_are_unescaped_and_wrong_lines_ignored() -> None:
    page = parse('a{x="1\\"2\\\\n",y="a}b"} 3 1700\na{x="broken 4\na{x=""} no\n', 0.0)
    assert page.all("a") == {(("x", '1"2\\n'), ("y", "a}b")): 3.0}


@pytest.mark.parametrize("uid", ["", "852075b8-c46f-4fd5-8723-e3422b2bdcff"])
def test_processes_join_cpu_and_memory(uid: str) -> None:
    labels = f'pid="7",name="stress",pod_uid="{uid}",container_id="c"'
    text = f"metricat_process_cpu_ratio{{{labels}}} 1.5\nmetricat_process_resident_memory_bytes{{{labels}}} 4096\n"
    [found] = processes(parse(f"{text}metricat_process_threads{{{labels}}} 3\n", 0.0))
    assert (found.pid, found.name, found.pod_uid, found.container_id) == (7, "stress", uid, "c")
    assert (found.cpu, found.memory_bytes, found.threads) == (1.5, 4096.0, 3)
