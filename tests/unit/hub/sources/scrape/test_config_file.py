# ruff: noqa: E501, ISC004 -- each case is a setting and its message, both in full
"""Prometheus' settings are accepted, and each wrong or unsupported one is named with file, line, value and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.config.sections import ConfigFileError
from metricat_hub.sources.scrape.config import (
    DEFAULT_BODY_LIMIT,
    DEFAULT_SAMPLE_LIMIT,
    Authorization,
    BasicAuth,
    Credentials,
    FileDiscovery,
    Job,
    Limits,
    ScrapeConfig,
    TargetGroup,
    TlsConfig,
)
from metricat_hub.sources.scrape.config_file import read_scrape_file
from metricat_hub.sources.scrape.relabel import Rule

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> ScrapeConfig:
    (folder / "hub.yaml").write_text(text)
    return read_scrape_file(str(folder / "hub.yaml"))


def read_job(folder: Path, text: str) -> Job:
    [job] = read(folder, f"scrape_configs:\n- job_name: j\n{text}").jobs
    return job


def test_all_settings_are_read(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
global: {scrape_interval: 30s, sample_limit: 100, body_size_limit: 1MiB}
scrape_configs:
- job_name: plain
- job_name: full
  scrape_interval: 1m30s
  scrape_timeout: 5s
  scheme: https
  metrics_path: /x
  params: {a: ["1", "2"]}
  honor_labels: true
  honor_timestamps: false
  track_timestamps_staleness: true
  enable_compression: false
  follow_redirects: false
  enable_http2: false
  scrape_protocols: [PrometheusText0.0.4]
  fallback_scrape_protocol: PrometheusText0.0.4
  tls_config: {ca_file: ca.crt, cert_file: /c.crt, key_file: c.key, server_name: s, insecure_skip_verify: true, min_version: TLS13}
  basic_auth: {username: u, password_file: p}
  static_configs: [{targets: ["h:1"], labels: {a: b}}]
  file_sd_configs: [{files: [t/*.yaml], refresh_interval: 1m}]
  relabel_configs: [{source_labels: [a, b], separator: "", regex: "", target_label: c, replacement: ""}]
  metric_relabel_configs: [{action: hashmod, modulus: 8, source_labels: [a], target_label: d}]
  body_size_limit: 0
  sample_limit: 5
  target_limit: 6
  label_limit: 7
  label_name_length_limit: 8
  label_value_length_limit: 9
""",
    )
    limits = Limits(2**20, samples=100)
    assert found.jobs == (
        Job("plain", scrape_interval=30_000, limits=limits),
        Job(
            "full",
            scrape_interval=90_000,
            scrape_timeout=5_000,
            scheme="https",
            metrics_path="/x",
            params=(("a", ("1", "2")),),
            honor_labels=True,
            honor_timestamps=False,
            track_timestamps_staleness=True,
            enable_compression=False,
            follow_redirects=False,
            protocols=("PrometheusText0.0.4",),
            fallback_protocol="PrometheusText0.0.4",
            tls=TlsConfig(
                ca_file=f"{tmp_path}/ca.crt",
                cert_file="/c.crt",
                key_file=f"{tmp_path}/c.key",
                server_name="s",
                insecure_skip_verify=True,
                min_version="TLS13",
            ),
            basic_auth=BasicAuth(Credentials("u"), Credentials(file=f"{tmp_path}/p")),
            static_groups=(TargetGroup(("h:1",), (("a", "b"),)),),
            file_discoveries=(FileDiscovery((f"{tmp_path}/t/*.yaml",)),),
            relabel=(Rule(source_labels=("a", "b"), separator="", regex="", target_label="c", replacement=""),),
            metric_relabel=(Rule("hashmod", ("a",), modulus=8, target_label="d"),),
            limits=Limits(0, 5, 7, 8, 9),
            target_limit=6,
        ),
    )


def test_defaults_are_those_of_prometheus_but_two_limits(tmp_path: Path) -> None:
    job = read_job(tmp_path, "")
    assert (job.scrape_interval, job.scrape_timeout) == (60_000, 10_000)
    assert job.limits == Limits(DEFAULT_BODY_LIMIT, DEFAULT_SAMPLE_LIMIT)
    assert read_job(tmp_path, "  scrape_interval: 5s").scrape_timeout == 5_000


def test_empty_files_have_no_jobs(tmp_path: Path) -> None:
    assert read(tmp_path, "") == read(tmp_path, "scrape_configs:\n") == ScrapeConfig()


@pytest.mark.parametrize(
    "text", ["authorization: {credentials: c}", "bearer_token: c", "authorization: {type: Bearer, credentials: c}"]
)
def test_bearer_tokens_have_two_notations(tmp_path: Path, text: str) -> None:
    assert read_job(tmp_path, f"  {text}").authorization == Authorization(Credentials("c"))


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(read_job(tmp_path, "  basic_auth: {username: u, password: hunter2}"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("scrape_interval: abc", "line 3: scrape_configs[0].scrape_interval: invalid duration 'abc'; use for example "
                                 "30d, 12h or 1m30s"),
        ("scrape_interval: 0s", "line 3: scrape_configs[0].scrape_interval: the duration '0s' is 0; write for example "
                                "15s"),
        ("scrape_interval: 5s\n  scrape_timeout: "
         "6s", "line 4: scrape_configs[0].scrape_timeout: above scrape_interval; set a timeout of at most "
               "5s"),
        ("scrape_intervall: 5s", "line 3: scrape_configs[0].scrape_intervall: unknown key; did you mean "
                                 "scrape_interval?"),
        ("oauth2: {}", "line 3: scrape_configs[0].oauth2: the hub does not support this setting; remove it"),
        (
            "kubernetes_sd_configs: []",
            "line 3: scrape_configs[0].kubernetes_sd_configs: the hub does not support this setting; "
            "use static_configs or file_sd_configs",
        ),
        ("scheme: ftp", "line 3: scrape_configs[0].scheme: unknown value 'ftp'; write one of http, https"),
        ("honor_labels: 1", "line 3: scrape_configs[0].honor_labels: invalid value '1'; write true or false"),
        ("sample_limit: -1", "line 3: scrape_configs[0].sample_limit: invalid number '-1'; write a whole number, for "
                             "example 10000"),
        ("body_size_limit: 5", "line 3: scrape_configs[0].body_size_limit: invalid size '5'; use for example 512MB or "
                               "20GB"),
        ("enable_http2: true", "line 3: scrape_configs[0].enable_http2: HTTP/2 is not supported; write false, or "
                               "remove this key"),
        (
            "scrape_protocols: [PrometheusProto]",
            "line 3: scrape_configs[0].scrape_protocols: 'PrometheusProto' is not supported; use OpenMetricsText1.0.0, "
            "OpenMetricsText0.0.1, PrometheusText1.0.0, PrometheusText0.0.4",
        ),
        (
            "static_configs: [{targets: ['http://h/x']}]",
            "line 3: scrape_configs[0].static_configs[0].targets: invalid address 'http://h/x'; "
            "write HOST:PORT, and the path in metrics_path",
        ),
        ("static_configs: [{target: "
         "[h]}]", "line 3: scrape_configs[0].static_configs[0].target: unknown key; did you mean targets?"),
        ("static_configs: h", "line 3: scrape_configs[0].static_configs: not a list; write its items as - ITEM"),
        (
            "file_sd_configs: [{files: [a.txt]}]",
            "line 3: scrape_configs[0].file_sd_configs[0].files: invalid path 'a.txt'; end it with .yml, .yaml or "
            ".json",
        ),
        (
            "tls_config: {cert_file: a}",
            "line 3: scrape_configs[0].tls_config.cert_file: cert_file and key_file require each other; set both",
        ),
        (
            "tls_config: {cert: a}",
            "line 3: scrape_configs[0].tls_config.cert: the hub does not support this setting; "
            "write the certificate to a file and give its path in cert_file",
        ),
        (
            "basic_auth: {password: hunter2, password_file: b}",
            "line 3: scrape_configs[0].basic_auth.password: cannot be combined with password_file; remove one of them",
        ),
        (
            "basic_auth: {}\n  bearer_token: hunter2",
            "line 3: scrape_configs[0].basic_auth: cannot be combined with authorization or bearer_token; remove one "
            "of them",
        ),
        ("authorization: {type: "
         "Basic}", "line 3: scrape_configs[0].authorization.type: 'basic' is not supported here; use basic_auth"),
        (
            "relabel_configs: [{action: dropp}]",
            "line 3: scrape_configs[0].relabel_configs[0].action: unknown value 'dropp'; write one of replace, keep, "
            "drop, "
            "keepequal, dropequal, hashmod, labelmap, labeldrop, labelkeep, lowercase, uppercase",
        ),
        (
            "relabel_configs: [{regex: '(?=a)', target_label: b}]",
            "line 3: scrape_configs[0].relabel_configs[0].regex: invalid regular expression '(?=a)': "
            "invalid perl operator: (?=. Write it in RE2's syntax, which has no look-around, backreferences or "
            "possessive quantifiers.",
        ),
        (
            "relabel_configs: [{replacement: a}]",
            "line 3: scrape_configs[0].relabel_configs[0].action: the action replace requires target_label; "
            "write the name of a label",
        ),
        (
            "relabel_configs: [{action: labeldrop, source_labels: [a]}]",
            "line 3: scrape_configs[0].relabel_configs[0].action: the action labeldrop uses only regex, "
            "but source_labels is set; remove source_labels",
        ),
        ("job_name: k", "the key job_name is given twice, in line 2 and in line 3; remove one of them"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named_with_line_and_remedy(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        read_job(tmp_path, f"  {text}")
    assert str(raised.value) == f"{tmp_path}/hub.yaml: {error}"
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("rule_files: []", "line 1: rule_files: the hub does not support this setting; remove it"),
        ("scrape_configs: [{}]", "line 1: scrape_configs[0].job_name: missing; write a name"),
        ("scrape_configs: [{job_name: a}, {job_name: "
         "a}]", "line 1: scrape_configs[1].job_name: two jobs have the name 'a'; rename one of them"),
        ("global: {external_labels: {a: "
         "b}}", "line 1: global.external_labels: the hub does not support this setting; remove it, or set the labels "
                "with relabel_configs"),
        ("- a", "line 1: the file: not a mapping; write KEY: VALUE lines"),
    ],
)  # fmt: skip
def test_wrong_files_are_named(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ConfigFileError) as raised:
        read(tmp_path, text)
    assert str(raised.value) == f"{tmp_path}/hub.yaml: {error}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"missing\.yaml: cannot be read: No such file"):
        read_scrape_file(str(tmp_path / "missing.yaml"))
