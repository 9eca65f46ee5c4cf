"""Reader of ``scrape_configs`` and of discovery files, with Prometheus' keys. Other keys are errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from metricat_agent.config.yaml_text import Node, YamlError, read_file
from metricat_hub.config.sections import ConfigFileError, Section, fail, is_list, mapping, whole
from metricat_hub.model.durations import format_duration, parse_duration, parse_size
from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.sources.scrape.config import (
    PROTOCOLS,
    Authorization,
    BasicAuth,
    Credentials,
    FileDiscovery,
    Job,
    Protocol,
    ScrapeConfig,
    TargetGroup,
    TlsConfig,
)
from metricat_hub.sources.scrape.credentials import TLS_VERSIONS
from metricat_hub.sources.scrape.relabel import ACTIONS, Rule, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LIMITS = {
    "sample_limit": "samples",
    "label_limit": "labels",
    "label_name_length_limit": "label_name_length",
    "label_value_length_limit": "label_value_length",
}
_COMMON = ("scrape_interval", "scrape_timeout", "scrape_protocols", "body_size_limit", "target_limit", *_LIMITS)
"""Keys of a job that the section ``global`` may set for all jobs."""
_JOB = (
    *("job_name", "scheme", "metrics_path", "params", "honor_labels", "honor_timestamps", "track_timestamps_staleness"),
    *("enable_compression", "follow_redirects", "enable_http2", "fallback_scrape_protocol", "tls_config", "basic_auth"),
    *("authorization", "bearer_token", "bearer_token_file", "static_configs", "file_sd_configs", "relabel_configs"),
    "metric_relabel_configs",
)
_UNSUPPORTED = frozenset(
    (
        *("oauth2", "proxy_url", "proxy_from_environment", "no_proxy", "proxy_connect_header", "http_headers"),
        *("scrape_native_histograms", "always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb"),
        *("native_histogram_bucket_limit", "native_histogram_min_bucket_factor", "scrape_failure_log_file"),
        *("keep_dropped_targets", "metric_name_validation_scheme", "metric_name_escaping_scheme"),
        *("extra_scrape_metrics", "evaluation_interval", "rule_query_offset", "query_log_file", "external_labels"),
        *("username_ref", "password_ref", "credentials_ref", "cert_ref", "key_ref", "ca_ref", "cert", "key"),
        *("alerting", "rule_files", "remote_write", "remote_read", "storage", "tracing", "otlp", "runtime"),
        "scrape_config_files",
    )
)
"""Settings of Prometheus without an equivalent here."""
_REMEDIES = {
    "cert": "write the certificate to a file and give its path in cert_file",
    "key": "write the key to a file and give its path in key_file",
    "external_labels": "remove it, or set the labels with relabel_configs",
    "scrape_config_files": "write the jobs in this file",
}


def _unsupported(key: str) -> str:
    """Return what to do about a setting of Prometheus that the hub does not have; empty for any other key."""
    if key.endswith("_sd_configs"):
        return "use static_configs or file_sd_configs"
    return _REMEDIES.get(key, "remove it") if key in _UNSUPPORTED else ""


def _section(node: Node, path: str, file: str, known: Iterable[str]) -> Section:
    return Section(node, path, file, known, _unsupported)


def _duration(text: str) -> int:
    value = parse_duration(text)
    if not value:
        raise ValueError(f"the duration '{text}' is 0; write for example 15s")
    return value


def _size(text: str) -> int:
    return 0 if text == "0" else parse_size(text.replace("iB", "B"))


def read_scrape_file(path: str) -> ScrapeConfig:
    """Read a separate file with the keys ``global`` and ``scrape_configs``.

    Raises:
        ConfigFileError: the file cannot be read or is not valid.
    """
    try:
        root = read_file(path)
    except YamlError as error:
        raise ConfigFileError(f"{path}: {error}") from None
    return ScrapeConfig() if root is None else parse_scrape_config(root, path)


def parse_scrape_config(root: Node, file: str) -> ScrapeConfig:
    """Parse a mapping with the keys ``global`` and ``scrape_configs``.

    Args:
        root: the mapping.
        file: the path of the file, for messages. Relative paths in the configuration are relative to its directory.

    Raises:
        ConfigFileError: the configuration is not valid.
    """
    top = _section(root, "", file, ("global", "scrape_configs"))
    common = _common(top.section("global", _COMMON), Job(""))
    jobs: dict[str, Job] = {}
    for section in top.sections("scrape_configs", (*_COMMON, *_JOB)):
        job = _job(section, common)
        if job.job_name in jobs:
            section.fail("job_name", f"two jobs have the name '{job.job_name}'; rename one of them")
        jobs[job.job_name] = job
    return ScrapeConfig(tuple(jobs.values()))


def _common(section: Section | None, default: Job) -> Job:
    """Return the default with the keys that jobs and the section ``global`` have in common."""
    if section is None:
        return default
    limits = replace(
        default.limits,
        body_size=section.parsed("body_size_limit", _size, default.limits.body_size),
        **{name: section.parsed(key, whole, getattr(default.limits, name)) for key, name in _LIMITS.items()},
    )
    protocols = section.texts("scrape_protocols")
    if unknown := [one for one in protocols if one not in PROTOCOLS]:
        section.fail("scrape_protocols", f"'{unknown[0]}' is not supported; use {', '.join(PROTOCOLS)}")
    if len(set(protocols)) < len(protocols):
        section.fail("scrape_protocols", "a scrape protocol occurs twice; remove one of them")
    return replace(
        default,
        scrape_interval=section.parsed("scrape_interval", _duration, default.scrape_interval),
        scrape_timeout=section.parsed("scrape_timeout", _duration, default.scrape_timeout),
        protocols=cast("tuple[Protocol, ...]", protocols) or default.protocols,
        limits=limits,
        target_limit=section.parsed("target_limit", whole, default.target_limit),
    )


def _job(section: Section, default: Job) -> Job:
    name = section.text("job_name")
    if not name:
        section.fail("job_name", "missing; write a name")
    job = _common(section, default)
    if job.scrape_timeout > job.scrape_interval:
        if section.text("scrape_timeout"):
            interval = format_duration(job.scrape_interval)
            section.fail("scrape_timeout", f"above scrape_interval; set a timeout of at most {interval}")
        job = replace(job, scrape_timeout=job.scrape_interval)
    if section.switch("enable_http2", default=False):
        section.fail("enable_http2", "HTTP/2 is not supported; write false, or remove this key")
    plain = Job(name)
    fallback = section.choice("fallback_scrape_protocol", tuple(PROTOCOLS), "")
    relabel = _rules(section, "relabel_configs")
    return replace(
        job,
        job_name=name,
        scheme=section.choice("scheme", ("http", "https"), plain.scheme),
        metrics_path=section.text("metrics_path", plain.metrics_path),
        params=_params(section),
        honor_labels=section.switch("honor_labels", default=plain.honor_labels),
        honor_timestamps=section.switch("honor_timestamps", default=plain.honor_timestamps),
        track_timestamps_staleness=section.switch(
            "track_timestamps_staleness", default=plain.track_timestamps_staleness
        ),
        enable_compression=section.switch("enable_compression", default=plain.enable_compression),
        follow_redirects=section.switch("follow_redirects", default=plain.follow_redirects),
        fallback_protocol=cast("Protocol", fallback) if fallback else None,
        tls=_tls(section),
        basic_auth=_basic_auth(section),
        authorization=_authorization(section),
        static_groups=tuple(
            _group(one, "", check_address=not relabel) for one in section.sections("static_configs", _GROUP)
        ),
        file_discoveries=tuple(
            _files(one) for one in section.sections("file_sd_configs", ("files", "refresh_interval"))
        ),
        relabel=relabel,
        metric_relabel=_rules(section, "metric_relabel_configs"),
    )


_GROUP = ("targets", "labels")


def _params(section: Section) -> tuple[tuple[str, tuple[str, ...]], ...]:
    node = section.values.get("params")
    if node is None or node.is_null:
        return ()
    inner = _section(node, f"{section.path}params.", section.file, mapping(node, f"{section.path}params", section.file))
    return tuple((name, inner.texts(name)) for name in inner.values)


def _group(section: Section, source: str, *, check_address: bool = True) -> TargetGroup:
    targets = section.texts("targets")
    for target in targets:
        if check_address and "/" in target:
            section.fail("targets", f"invalid address '{target}'; write HOST:PORT, and the path in metrics_path")
    node = section.values.get("labels")
    labels: tuple[tuple[str, str], ...] = ()
    if node is not None and not node.is_null:
        names = mapping(node, f"{section.path}labels", section.file)
        inner = _section(node, f"{section.path}labels.", section.file, names)
        labels = tuple((name, inner.text(name)) for name in names)
        if "" in names:
            section.fail("labels", "a label has an empty name; write NAME: VALUE lines")
    return TargetGroup(targets, labels, source)


def parse_groups(root: Node | None, file: str) -> tuple[TargetGroup, ...]:
    """Parse the target groups of a discovery file, which is a list of mappings in YAML or JSON.

    Raises:
        ConfigFileError: the file is not valid.
    """
    if root is None:
        return ()
    if not is_list(root):
        fail(file, root.line, "the file", "not a list; write - targets: [HOST:PORT]")
    nodes = cast("Sequence[Node]", root.value)
    return tuple(_group(_section(node, f"[{at}].", file, _GROUP), file) for at, node in enumerate(nodes))


def _files(section: Section) -> FileDiscovery:
    section.parsed("refresh_interval", _duration, 0)
    files = section.texts("files")
    if not files:
        section.fail("files", "missing; write the path of at least one file")
    for file in files:
        if not file.endswith((".yml", ".yaml", ".json")):
            section.fail("files", f"invalid path '{file}'; end it with .yml, .yaml or .json")
        if "*" in str(Path(file).parent):
            section.fail("files", f"invalid path '{file}'; write * only in the last part")
    return FileDiscovery(tuple(_path(section, file) for file in files))


def _path(section: Section, path: str) -> str:
    """Return a path of the configuration, relative to the folder of the file."""
    return str(Path(section.file).absolute().parent / path) if path else ""


def _tls(section: Section) -> TlsConfig:
    inner = section.section(
        "tls_config",
        ("ca", "ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify", "min_version", "max_version"),
    )
    if inner is None:
        return TlsConfig()
    made = TlsConfig(
        ca=inner.text("ca"),
        ca_file=_path(inner, inner.text("ca_file")),
        cert_file=_path(inner, inner.text("cert_file")),
        key_file=_path(inner, inner.text("key_file")),
        server_name=inner.text("server_name"),
        insecure_skip_verify=inner.switch("insecure_skip_verify", default=False),
        min_version=inner.choice("min_version", TLS_VERSIONS, ""),
        max_version=inner.choice("max_version", TLS_VERSIONS, ""),
    )
    if made.ca and made.ca_file:
        inner.fail("ca", "cannot be combined with ca_file; remove one of them")
    if bool(made.cert_file) != bool(made.key_file):
        inner.fail("cert_file" if made.cert_file else "key_file", "cert_file and key_file require each other; set both")
    if made.max_version and made.max_version < (made.min_version or "TLS12"):
        least = made.min_version or "TLS12"
        inner.fail("max_version", f"'{made.max_version}' is below min_version; set a version of at least {least}")
    return made


def _credentials(section: Section, key: str) -> Credentials:
    value, file = section.text(key), section.text(f"{key}_file")
    if value and file:
        section.fail(key, f"cannot be combined with {key}_file; remove one of them")
    return Credentials(value, _path(section, file))


def _basic_auth(section: Section) -> BasicAuth | None:
    inner = section.section("basic_auth", ("username", "username_file", "password", "password_file"))
    if inner is None:
        return None
    return BasicAuth(_credentials(inner, "username"), _credentials(inner, "password"))


def _authorization(section: Section) -> Authorization | None:
    inner = section.section("authorization", ("type", "credentials", "credentials_file"))
    bearer = _credentials(section, "bearer_token")
    if (inner or bearer.value or bearer.file) and "basic_auth" in section.values:
        section.fail("basic_auth", "cannot be combined with authorization or bearer_token; remove one of them")
    if inner is None:
        return Authorization(bearer) if bearer.value or bearer.file else None
    if bearer.value or bearer.file:
        section.fail("authorization", "cannot be combined with bearer_token; remove one of them")
    kind = inner.text("type", "Bearer").strip()
    if kind.lower() == "basic":
        inner.fail("type", "'basic' is not supported here; use basic_auth")
    return Authorization(_credentials(inner, "credentials"), kind)


def _rules(section: Section, key: str) -> tuple[Rule, ...]:
    known = ("action", "source_labels", "separator", "regex", "modulus", "target_label", "replacement")
    found = []
    for inner in section.sections(key, known):
        plain = Rule()
        action = inner.text("action", plain.action).lower()
        if action not in ACTIONS:
            inner.fail("action", f"unknown value '{action}'; write one of {', '.join(ACTIONS)}")
        given = inner.values
        try:
            rule = Rule(
                action=action,
                source_labels=inner.texts("source_labels"),
                separator=inner.text("separator") if "separator" in given else plain.separator,
                regex=inner.text("regex") if "regex" in given else plain.regex,
                modulus=inner.parsed("modulus", whole, 0),
                target_label=inner.text("target_label"),
                replacement=inner.text("replacement") if "replacement" in given else plain.replacement,
            )
        except InvalidQueryError as error:
            inner.fail("regex", str(error))
        if problem := check(rule):
            inner.fail("action", problem)
        found.append(rule)
    return tuple(found)
