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
        ("node-7.example:9100", Address("node-7.example", 9100)),
        ("[fe80::1%br-a.100]:1", Address("fe80::1%br-a.100", 1)),
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
        (["--web.listen-address=:9100", "--web.listen-address=:9100"], r"one of the values is given twice"),
        (["--web.listen-address=:9100", "--web.listen-address=127.0.0.1:9100"], r":9100 and 127\.0\.0\.1:9100 are the"),
        (["--web.listen-address=0.0.0.0:1", "--web.listen-address=10.0.0.1:1"], r"one contains the other; remove"),
        (["--web.listen-address=[::]:1", "--web.listen-address=127.0.0.1:1"], r"one contains the other; remove"),
        (["--web.listen-address=[::1]:1", "--web.listen-address=[0:0::1]:1"], r"are the same address"),
        (["--web.listen-address=:09100"], r"--web\.listen-address=:09100: not a listen address"),
        (["--web.listen-address=:\u0669\u0661"], r"not a listen address"),
        (["--web.listen-address=a..b:1"], r"not a listen address"),
        (["--web.listen-address=-a:1"], r"not a listen address"),
        (["--web.listen-address="], r"--web\.listen-address=: not a listen address"),
        (["--web.listen-address=vsock://:9100"], r"not a listen address"),
        (["--web.telemetry-path=metrics"], r"--web\.telemetry-path=metrics: .*starts with /"),
        (["--web.telemetry-path=/m\u00e9trique"], r"not a usable path"),
        (["--path.rootfs="], r"--path\.rootfs=: not a directory"),
        (["--path.udev.data=run/udev"], r"--path\.udev\.data=run/udev: not an absolute path"),
        (
            ["--web.max-requests=2.7"],
            r"--web\.max-requests=2\.7: not a whole number from 0 to 10000; write for example 40",
        ),
        (["--web.max-requests=-1"], r"--web\.max-requests=-1: not a whole number"),
        (["--web.max-requests=+1"], r"not a whole number"),
        (["--web.max-requests= 5"], r"not a whole number"),
        (["--web.max-requests=\u0665"], r"not a whole number"),
        (["--web.max-requests=" + "9" * 5000], r"not a whole number"),
        (["--collector.series-limit=0"], r"--collector\.series-limit=0: not a whole number from 1"),
        (["--collector.series-limit=1e3"], r"--collector\.series-limit=1e3: not a whole number"),
        (["--agent.cpu-limit=1_0"], r"--agent\.cpu-limit=1_0: not a number from 0\.1 to 100"),
        (["--agent.cpu-limit=nan"], r"--agent\.cpu-limit=nan: not a number"),
        (["--collector.timeout=1_0"], r"--collector\.timeout=1_0: invalid number of seconds"),
        (["--collector.timeout=\u0661"], r"invalid number of seconds"),
        (
            ["--log.level=info", "--log.level=debug"],
            r"--log\.level=info,debug: different values of a setting that takes one",
        ),
        (["--collector.cpu", "--no-collector.cpu"], r"--collector\.cpu: cannot be combined with --no-collector\.cpu"),
        (["--no-collector.netdev", "--collector.netdev.device-exclude=("], r"not a regular expression"),
        (
            ["--collector.vmstat.fields=[[:alpha:]]"],
            r"--collector\.vmstat\.fields=.*: not a regular expression \(Possible",
        ),
        (["--collector.processes.top=\u00b2"], r"not a whole number from 1 to"),
        (["--collector.ipvs.backend-labels=proto,,local_port"], r"unknown label ''; choose from"),
        (
            ["--collector.netdev.device-exclude=.*"],
            r"matches every name, so it excludes all network devices; .*--no-coll",
        ),
        (["--collector.netdev.device-exclude=^veth|"], r"matches every name"),
        (["--collector.netclass.ignored-devices=x*"], r"matches every name"),
        (["--log.level=a\nb"], r"^--log\.level=a\\nb: unknown value"),
        (["--web.telemetry-path=/-/healthy"], r"--web\.telemetry-path=/-/healthy: "),
        (["--web.telemetry-path=/../metrics"], r"has no part '', '\.' or '\.\.'"),
        (["--web.telemetry-path=/a//b"], r"has no part '', '\.' or '\.\.'"),
        (["--collector.ipvs.backend-labels=proto,proto"], r"a label is given twice; remove one of them"),
        (["--collector.probe.target=icmp://h:80"], r"has a port, and ICMP has none; write icmp://h"),
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
        (["--no-colector.cpu"], r"did you mean --no-collector\.cpu\?"),
        (["--nocollector.cpu"], r"did you mean --no-collector\.cpu\?"),
        (["--collector.netdev.device-ignored=x"], r"did you mean --collector\.netdev\.device-exclude\?"),
        (["--collector.netdev.device-ixclude=x"], r"^--collector\.netdev\.device-ixclude: unknown setting; --help"),
        (["--collector.enable-defaults"], r"^--collector\.enable-defaults: unknown setting; --help"),
        (
            ["--collector.filesystem.mount-points-includes=x"],
            r"did you mean --collector\.filesystem\.mount-points-include\?",
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


def test_log_level_is_case_insensitive() -> None:
    assert settings("--log.level=WARN").log_level == "warn"


def test_ports_and_hosts_that_differ_are_different_addresses() -> None:
    texts = ("127.0.0.1:1", "127.0.0.1:2", "[::1]:1", ":0", "127.0.0.1:0", "0.0.0.0:3", "[::1]:3")
    given = settings(*(f"--web.listen-address={text}" for text in texts))
    assert tuple(map(str, given.listen)) == texts


def test_same_value_twice_is_accepted() -> None:
    assert settings("--log.level=warn", "--log.level=warn", "--collector.cpu", "--collector.cpu").log_level == "warn"


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        (["--collector.disable-defaults"], "no collector is enabled; enable one with --collector.NAME"),
        (
            ["--no-collector.netdev", "--collector.netdev.device-exclude=^x"],
            "--collector.netdev.device-exclude=^x has no effect: the collector netdev is disabled; enable it with ",
        ),
        (
            ["--no-collector.textfile", "--collector.textfile.directory=/a", "--collector.textfile.directory=/b"],
            "--collector.textfile.directory=/a,/b has no effect: the collector textfile is disabled; enable it with ",
        ),
        (
            ["--path.udev.data=/nowhere"],
            "--path.udev.data=/nowhere: the directory does not exist, so the labels of disks from udev are empty; give",
        ),
    ],
)
def test_setting_without_effect_is_accepted_with_a_warning(arguments: list[str], warning: str) -> None:
    [given] = settings(*arguments).warnings
    assert given.startswith(warning)
    assert settings().warnings == ()
