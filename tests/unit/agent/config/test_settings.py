"""Values of settings, and the errors for values that cannot be used."""

from __future__ import annotations

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.loader import Value
from metricat_agent.config.settings import Address, SettingError, Settings, address, parse


def settings(*arguments: str, **environment: str) -> Settings:
    return parse(arguments, environment, COLLECTORS)


def test_defaults_read_the_local_host() -> None:
    given = settings()
    assert (given.host.procfs, given.host.sysfs, given.host.rootfs) == ("/proc", "/sys", "/")
    assert given.host.is_local
    assert given.listen == (Address("", 9100),)
    assert given.telemetry_path == "/metrics"
    assert set(given.collectors) == {name for name, collector in COLLECTORS.items() if collector.on_by_default}


def test_flags_of_the_daemon_set_read_the_mounted_host(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("host")
    (root / "proc").mkdir()
    (root / "proc" / "stat").touch()
    given = settings(
        f"--path.procfs={root}/proc/",
        f"--path.sysfs={root}",
        f"--path.rootfs={root}",
        "--web.listen-address=:9100",
        NODE_NAME="node-7",
    )
    assert given.host.procfs == f"{root}/proc"
    assert given.host.node_name == "node-7"
    assert not given.host.is_local


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":9100", Address("", 9100)),
        ("127.0.0.1:9100", Address("127.0.0.1", 9100)),
        ("[::]:9100", Address("::", 9100)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_listen_addresses_are_parsed(text: str, expected: Address) -> None:
    assert address(Value((text,), "--web.listen-address"), text) == expected
    assert str(expected) == text


def test_listen_address_can_be_given_more_than_once() -> None:
    given = settings("--web.listen-address=127.0.0.1:1", "--web.listen-address", "[::1]:2")
    assert given.listen == (Address("127.0.0.1", 1), Address("::1", 2))


def test_collectors_are_switched_individually() -> None:
    assert set(settings().collectors) - set(settings("--no-collector.cpu").collectors) == {"cpu"}
    assert set(settings("--collector.disable-defaults", "--collector.cpu").collectors) == {"cpu"}


def test_filters_replace_the_defaults() -> None:
    mine = settings("--collector.netdev.device-exclude=^lo$").collectors["netdev"].filters["device-exclude"]
    assert (mine.keeps("veth1"), mine.keeps("lo"), mine.keeps("lo1")) == (True, False, True)
    none = settings("--collector.netdev.device-exclude=").collectors["netdev"].filters["device-exclude"]
    assert none.keeps("veth1")
    only = settings("--collector.netdev.device-include=^veth").collectors["netdev"].filters["device-exclude"]
    assert (only.keeps("veth1"), only.keeps("lo")) == (True, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--web.listen-address=9100"], r"--web\.listen-address=9100: .*write \[IP\]:PORT"),
        (["--web.listen-address=::1:9100"], r"--web\.listen-address=::1:9100: .*\[::1\]:9100"),
        (["--web.listen-address=1.2.3.999:9100"], r"--web\.listen-address=1\.2\.3\.999:9100: not a listen address"),
        (["--web.listen-address=[1::2::3]:9100"], r"\[1::2::3\]:9100: not a listen address"),
        (["--web.listen-address=:65536"], r"--web\.listen-address=:65536: "),
        (["--web.telemetry-path=metrics"], r"--web\.telemetry-path=metrics: .*/metrics"),
        (["--web.telemetry-path=/-/healthy"], r"--web\.telemetry-path=/-/healthy: "),
        (["--path.procfs=/nowhere"], r"--path\.procfs=/nowhere: .*mount the host's directory there"),
        (["--path.procfs=/"], r"--path\.procfs=/: not a directory that contains 'stat'"),
        (["--path.rootfs=relative"], r"--path\.rootfs=relative: "),
        (["--collector.netdev.device-exclude=("], r"--collector\.netdev\.device-exclude=\(: not a regular expr.*write"),
        (
            ["--collector.netdev.device-exclude=a", "--collector.netdev.device-include=b"],
            r"--collector\.netdev\.device-include=b: .*give one",
        ),
        (["--collector.netdev.device-exclude=[[:alpha:]]"], r"not a regular expression \(Possible nested set"),
        (["--collector.netdev.device-exclude=" + "(" * 5000], r"not a regular expression"),
        (["--collector.netdev.device-exclude=a{9999999999999999999}"], r"not a regular expression"),
        (["--log.level=loud"], r"--log\.level=loud: .*warn"),
        (
            ["--colector.cpu"],
            r"^--colector\.cpu: unknown setting; did you mean --collector\.cpu\? --help lists all settings$",
        ),
        (["--zzz=s3cr3t", "more"], r"^--zzz: unknown setting; --help lists all settings$"),
        (["more"], r"^more: unknown setting; --help"),
        (
            ["--collector.cpu=false"],
            r"^--collector\.cpu=false: takes no value; write --collector.cpu or --no-collector\.cpu$",
        ),
        (
            ["--collector.timeout=61"],
            r"^--collector\.timeout=61: not a number from 0\.1 to 60; write for example 1\.5$",
        ),
        (
            ["--collector.timeout=1s"],
            r"^--collector\.timeout=1s: invalid number of seconds '1s'; use for example 1\.5$",
        ),
        (["--path.procfs"], r"^--path\.procfs: missing value; write --path\.procfs=VALUE$"),
    ],
)
def test_error_names_the_setting_its_value_and_the_remedy(arguments: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        settings(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--web.tls-secret=/t", "--web.config.file=/w"), r"--web\.config\.file=/w: cannot be combined with --web"),
        (("--web.client-ca-secret=/c",), r"--web\.client-ca-secret=/c: .* give --web\.tls-secret too"),
    ],
)
def test_conflicting_secrets_are_rejected(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        settings(*arguments)
