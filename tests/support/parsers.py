"""Every parser of data that the project did not write itself: what it accepts, and the errors that it declares.

`tests/unit/parsers` checks each with random and with extreme input, and `make fuzz` searches further with coverage.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config import settings as agent_settings
from metricat_agent.config.durations import parse_go_duration, parse_seconds
from metricat_agent.config.loader import SettingError
from metricat_agent.config.node_exporter_flags import translate
from metricat_agent.config.yaml_text import YamlError, plain, read_text
from metricat_agent.exposition import parser as exposition
from metricat_agent.exposition.writer import Writer
from metricat_agent.host.mountinfo import visible_mounts
from metricat_agent.probes.dns import response_counts
from metricat_agent.probes.result import ProbeError
from metricat_agent.probes.target import parse_document, parse_lines
from metricat_agent.web.access import config_file as web_config
from metricat_agent.web.access.passwords import credentials
from metricat_agent.web.http_parser import BadRequestError, encode_response, parse_head
from metricat_agent.web.http_parser import Response as AgentResponse
from metricat_hub.api.prometheus.parameters import parse_seconds as parse_step
from metricat_hub.api.prometheus.parameters import parse_time
from metricat_hub.config import outputs, receivers
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.config.store_url import parse_store_url
from metricat_hub.dispatch import config_file as routing
from metricat_hub.dispatch import matchers as alert_matchers
from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.templates.errors import TemplateError
from metricat_hub.evaluation.templates.functions import QueryResult, TemplateData
from metricat_hub.evaluation.templates.template import Template
from metricat_hub.model.durations import parse_duration, parse_size
from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.times import parse_rfc3339
from metricat_hub.promql import parser as promql
from metricat_hub.promql.printing import text as printed
from metricat_hub.promql.syntax_json import syntax_json
from metricat_hub.sources.scrape import page, relabel
from metricat_hub.sources.scrape.config_file import parse_groups, read_scrape_file
from metricat_hub.sources.write import json_batch, remote_write
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.errors import DecodeError, InvalidSeriesError, TooLargeError
from metricat_hub.sources.write.otlp import decoder as otlp
from metricat_hub.sources.write.otlp.messages import from_json, from_protobuf
from metricat_hub.use_cases.prometheus_alerts import parse as parse_prometheus
from metricat_operator.api.parse import parse as parse_spec
from metricat_operator.cluster.kinds import NODE
from metricat_operator.cluster.responses import (
    InvalidResponseError,
    parse_deletion,
    parse_event,
    parse_object,
    parse_page,
)
from support.kernel_files import PARSERS as KERNEL_FILES
from support.paths import RECORDED_HOST
from support.remote_write import Sent, request_1, request_2, snappy

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 1_800_000_000_000
LIMIT = 1 << 20
"""Bytes of a decompressed body."""


@dataclass(frozen=True)
class Parser:
    """A parser of bytes, the errors that it may raise, and valid input. `words` are repeated to make extreme input."""

    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _in_file(load: Callable[[str], object]) -> Callable[[bytes], object]:
    """Return a parser of a file's content, from one that takes a path."""

    def parse(data: bytes) -> object:
        file = os.memfd_create("input")
        try:
            os.write(file, data)
            return load(f"/proc/self/fd/{file}")
        finally:
            os.close(file)

    return parse


def _page(data: bytes, *, openmetrics: bool) -> None:
    for entry in page.parse(data, openmetrics=openmetrics):
        if isinstance(entry, page.Sample):
            page.labels_of(entry.series, entry.kind)


def _columns(columns: Any) -> None:
    if not len(columns.keys) == len(columns.times) == len(columns.values):
        raise AssertionError("columns of different lengths")
    for key in columns.keys:
        try:
            columns.labels_of(key)
        except InvalidSeriesError:
            continue


def _promql(data: bytes) -> None:
    node = promql.parse(_text(data), step=60_000, span=3_600_000)
    json.dumps(syntax_json(node))
    promql.parse(printed(node))


def _template(data: bytes) -> None:
    labels = {"instance": "a:9100", "mountpoint": "/"}
    found = [QueryResult(labels, 1.0)]
    Template(_text(data)).expand(TemplateData(labels, 0.9, {}, "http://hub", NOW / 1000, lambda _: found))


def _rules(data: bytes) -> None:
    rule_file.parse(read_text(_text(data)), "rules.yaml", 60_000)


def _plan(data: bytes) -> None:
    routing.parse_plan(read_text(_text(data)), "hub.yaml", ("a", "b"))


def _relabel(data: bytes) -> None:
    """Apply a rule, of which each line is one field, to labels."""
    action, sources, regex, target, replacement, *_ = [*_text(data).split("\n"), *[""] * 5]
    if action not in relabel.ACTIONS:
        return
    rule = relabel.Rule(action, tuple(sources.split(",")), ";", regex, 7, target, replacement)
    if not relabel.check(rule):
        relabel.relabel({"__name__": "up", "instance": "a:9100", "__meta_zone": "É"}, [rule])


def _prometheus(data: bytes) -> None:
    parse_prometheus(plain(read_text(_text(data)))).labels(from_mapping({"alertname": "a", "b": "c"}))


def _flags(data: bytes) -> None:
    # `@FILE` reads a file of the machine, in any place.
    translate([one.lstrip("@") for one in _text(data).split("\n")])


def _spec(data: bytes) -> None:
    found = json.loads(data)
    if isinstance(found, dict) and not (parsed := parse_spec(found)).spec and not parsed.errors:
        raise AssertionError("neither a spec nor an error")


def _kernel_file(data: bytes) -> None:
    names = sorted(KERNEL_FILES)
    if data:
        Writer().text(KERNEL_FILES[names[data[0] % len(names)]][1](data[1:].decode("utf-8", "surrogateescape")))


def _head(data: bytes) -> None:
    encode_response(AgentResponse(200, b"x" * 2000), parse_head(data), close=True)


def _either(*parsers: Callable[[bytes], object], errors: tuple[type[Exception], ...]) -> Callable[[bytes], None]:
    def parse(data: bytes) -> None:
        for one in parsers:
            try:
                one(data)
            except errors:
                continue

    return parse


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


_SENT = [Sent([("__name__", "up"), ("job", "a")], [(NOW, 1.0), (NOW + 1, 2.0)])]
_YAML = (b"- ", b"a:\n ", b"<<: *a\n")
"""Nesting is a matter of `yaml-text`, which the others use."""
"""Nesting is a matter of `yaml-text`, which the others use."""
_JSON = (b"[", b'{"a":', b'"\\u0000', b"1", b"-", b" ")
_PAGE = (b"a", b'a{b="', b"\\", b'a{b="c"} 1\n', b"# HELP a ", b",b=", b" ", b"\n")
_BINARY = (b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02", b"\x80", b"\xff", b"\x00")
_FILTER = b"scrape_configs:\n- job_name: a\n  static_configs:\n  - targets: [a:9100]\n    labels: {b: c}\n"
_RELABELED = (
    _FILTER + b"  relabel_configs:\n  - {source_labels: [a], regex: '(.*)', target_label: b, replacement: $1}\n"
)
_CONFIG_ERRORS = (YamlError, HubError)
_OTLP = {
    "resourceMetrics": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "a"}}]},
            "scopeMetrics": [
                {
                    "metrics": [
                        {"name": "a", "unit": "By", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asDouble": 1}]}}
                    ]
                }
            ],
        }
    ]
}
_BATCH = {
    "collector_id": "a",
    "hostname": "b",
    "metrics": [{"name": "a", "value": 1, "labels": {"b": "c"}, "timestamp": NOW / 1000}],
}
_OBJECT = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}}
_KERNEL_SEEDS = tuple(
    bytes([number]) + (RECORDED_HOST / KERNEL_FILES[name][0]).read_bytes()[:4000]
    for number, name in enumerate(sorted(KERNEL_FILES))
)

PARSERS: dict[str, Parser] = {
    # the agent: clients, files of the node, settings, probed servers
    "agent-http": Parser(
        _head,
        (BadRequestError,),
        (b"GET /metrics?collect[]=cpu HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip",),
        (b"a", b"A: b\r\n", b" ", b"gzip;q=1,", b"&collect[]=a", b"%", b"\r\n "),
    ),
    "agent-authorization": Parser(lambda data: credentials(_text(data)), (), (b"Basic YTpi",), (b"Basic ", b"=", b"A")),
    "agent-kernel-files": Parser(
        _kernel_file, (ValueError, IndexError, KeyError), _KERNEL_SEEDS, (b" 0", b"a: 1\n", b"\n", b"cpu", b"9")
    ),
    "agent-mounts": Parser(
        lambda data: visible_mounts(data.decode("utf-8", "surrogateescape")),
        (ValueError, IndexError, KeyError),
        (b"22 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n23 22 0:5 / /mnt\\040a rw - nfs a:/ rw\n",),
        (b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n", b"\\040", b" ", b"- "),
    ),
    "agent-textfile": Parser(
        lambda data: exposition.parse(_text(data)),
        (exposition.FormatError,),
        (
            b'# HELP a b\n# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 2\na_sum 1\na_count 2\n',
            b'# TYPE a counter\na{b="c\\"\\n"} 1e5\n',
        ),
        _PAGE,
    ),
    "agent-settings-file": Parser(
        _in_file(lambda path: agent_settings.parse([f"--config.file={path}"], {}, COLLECTORS)),
        (SettingError,),
        (b"web:\n  listen-address: [':9100']\ncollector:\n  cpu: {enabled: false}\n", b"log.level: debug\n"),
        _YAML,
    ),
    "agent-web-config": Parser(
        _in_file(web_config.load),
        (SettingError,),
        (
            b"tls_server_config: {cert_file: a, key_file: b}\nbasic_auth_users: {a: $2y$10$x}\n",
            b"http_server_config:\n  headers: {X-Frame-Options: deny}\nrate_limit: {interval: 1s, burst: 2}\n",
        ),
        _YAML,
    ),
    "agent-node-exporter-flags": Parser(
        _flags,
        (SettingError,),
        (b"--collector.cpu.info\n--no-collector.arp\n--web.listen-address=:1",),
        (b"--", b"a=", b"\n"),
    ),
    "agent-probe-targets": Parser(
        _either(lambda data: parse_lines(_text(data)), lambda data: parse_document(_text(data)), errors=(ValueError,)),
        (),
        (
            b'{"url": "https://a:1/b", "timeout": "2s", "expected": [200]}',
            b"dns://10.96.0.10/a.b?type=AAAA\nicmp://[::1]",
        ),
        (*_JSON, b"http://", b"a.", b"%"),
    ),
    "agent-dns-response": Parser(
        response_counts, (ProbeError,), (b"\0\1\x81\x80\0\1\0\1\0\0\0\0\1a\0\0\1\0\1",), _BINARY
    ),
    "agent-durations": Parser(
        _either(
            lambda data: parse_seconds(_text(data)), lambda data: parse_go_duration(_text(data)), errors=(ValueError,)
        ),
        (),
        (b"1h30m", b"1.5s", b"100ms"),
        (b"1", b"1h", b".", b"_"),
    ),
    # the hub: scraped pages, pushed samples, queries, settings, a Prometheus
    "hub-text-page": Parser(
        lambda data: _page(data, openmetrics=False),
        (page.PageError,),
        (b'# TYPE a counter\na{b="c\\"\\n"} 1e5 1\n',),
        _PAGE,
    ),
    "hub-openmetrics-page": Parser(
        lambda data: _page(data, openmetrics=True),
        (page.PageError,),
        (b'# TYPE a counter\na_total{b="c"} 1 1.5 # {t="x"} 1 1.0\n# EOF\n', b'{"a.b",c="d"} 1\n# EOF\n'),
        (*_PAGE, b' # {a="b"} 1'),
    ),
    "hub-remote-write": Parser(
        _either(
            lambda data: _columns(remote_write.decode_1(data, ())),
            lambda data: _columns(remote_write.decode_2(data)),
            errors=(DecodeError,),
        ),
        (),
        (request_1(_SENT), request_2(_SENT)),
        _BINARY,
    ),
    "hub-compressed-body": Parser(
        _either(
            lambda data: decompressed(data, LIMIT),
            lambda data: decompressed(data, LIMIT, "gzip"),
            errors=(DecodeError, TooLargeError),
        ),
        (),
        (snappy(b"a" * 200), _gzip(b"a" * 200), _gzip(bytes(1 << 21))),
        (*_BINARY, _gzip(b"")),
    ),
    "hub-otlp": Parser(
        _either(
            lambda data: _columns(otlp.decode(from_json(data))[0]),
            lambda data: _columns(otlp.decode(from_protobuf(data))[0]),
            errors=(DecodeError,),
        ),
        (),
        (json.dumps(_OTLP).encode(), b"\n\x12\x12\x10\x12\x0e\n\x01a*\t\n\x07\x19\0\0\0\0\0\0\0\0"),
        (*_JSON, *_BINARY),
    ),
    "hub-json-batch": Parser(
        lambda data: json_batch.decode(data, NOW),
        (DecodeError,),
        (json.dumps(_BATCH).encode(),),
        (*_JSON, b'{"name":"a"},'),
    ),
    "hub-promql": Parser(
        _promql,
        (HubError,),
        (
            b'sum by (a) (rate(x{b=~"c|d", e!="f"}[5m] offset 1h)) / on(a) group_left y > bool 0x1F',
            b"max_over_time(a[1h:5m] @ start()) and topk(3, -b ^ 2) # c",
            b"label_replace(up, 'a', \"$1\", `b`, '(.*)') or absent(x offset -(1m + 2s))",
        ),
        (b"(", b"-", b"a[", b"1", b"a+", b"sum(", b'"', b"\\", b"a{b=", b"0x", b"1h", b"!", b"{"),
    ),
    "hub-templates": Parser(
        _template,
        (TemplateError,),
        (
            b"{{ if gt $value 0.5 }}{{ $labels.mountpoint }} {{ $value | humanizePercentage }}{{ else }}x{{ end }}",
            b'{{ range $i, $e := (query "a") }}{{ printf "%5.2f %q" $i $e }}{{ end }}{{- reReplaceAll "a" "b" "c" -}}',
        ),
        (b"{{", b"{{if 1}}", b"(", b"{{ $a := 1 }}", b'{{"', b"}}", b"{{ range", b'{{ printf "%999999999d" 1 }}'),
    ),
    "hub-rules-file": Parser(
        _rules,
        _CONFIG_ERRORS,
        (
            (
                b"groups:\n- name: a\n  interval: 1m\n  rules:\n  - alert: B\n    expr: up == 0\n    for: 5m\n"
                b"    labels: {c: d}\n"
                b'    annotations: {e: "{{ $value }}"}\n  - {record: a, expr: sum(b)}\n'
            ),
            b"rules:\n  cpu_usage: {threshold: 80}\n",
        ),
        _YAML,
    ),
    "hub-routing-file": Parser(
        _plan,
        _CONFIG_ERRORS,
        (
            (
                b"route:\n  receiver: a\n  group_by: [b]\n  routes:\n"
                b"  - {receiver: b, matchers: ['a=~\"b\"'], continue: true}\n"
                b"time_intervals:\n- name: c\n  time_intervals:\n"
                b"  - {times: [{start_time: '09:00', end_time: '17:00'}],"
                b" weekdays: ['monday:friday'], days_of_month: ['-1'], months: [may], location: Europe/Berlin}\n"
                b"inhibit_rules:\n- {source_matchers: [a=b], target_matchers: [c=d], equal: [e]}\n"
            ),
        ),
        _YAML,
    ),
    "hub-alert-matchers": Parser(
        lambda data: alert_matchers.parse([_text(data)]),
        (ValueError,),
        (b'{a="b", c!~"d.*"}', b"a=b", b'"a b"=~"c"'),
        (b"{", b"a=b,", b'"', b"\\", b"a=~(", b"(", b" "),
    ),
    "hub-receivers-file": Parser(
        _in_file(lambda path: receivers.parse_receivers(path, {"A": "b"})),
        (HubError,),
        (
            (
                b"receivers:\n- name: a\n  slack_configs: [{api_url: 'https://a/b', channel: '#c'}]\n"
                b"  email_configs: [{to: a@b.org, from: c@d.org, smarthost: 'e:587',"
                b" auth_username: a, auth_password: '${A}'}]\n"
                b"  webhook_configs: [{url: 'http://a'}]\n  pagerduty_configs: [{routing_key: a}]\n"
            ),
        ),
        _YAML,
    ),
    "hub-outputs-file": Parser(
        _in_file(outputs.from_file),
        (SettingError, HubError),
        (b"outputs:\n- {name: a, url: 'remote-write+https://a/b', max_size: 1GB}\n",),
        _YAML,
    ),
    "hub-scrape-file": Parser(_in_file(read_scrape_file), (ConfigFileError,), (_FILTER, _RELABELED), _YAML),
    "hub-target-groups": Parser(
        lambda data: parse_groups(read_text(_text(data)), "a.json"),
        _CONFIG_ERRORS,
        (b'[{"targets": ["a:1"], "labels": {"b": "c"}}]', b"- targets: ['[::1]:9100', b]\n"),
        _YAML,
    ),
    "hub-relabeling": Parser(
        _relabel,
        (HubError,),
        (
            b"replace\n__name__,instance\n(.*);(.*)\ntarget\n${2}-$1",
            b"labelmap\n\n__meta_(.+)\n\n$1",
            b"hashmod\na\n\nb\n",
        ),
        (b"(", b"(a*)*", b"$", b"${1}", b"replace\na\n(.*)\nb\n$1$1$1", b"a{1000}"),
    ),
    "hub-prometheus-configuration": Parser(
        _prometheus,
        _CONFIG_ERRORS,
        (
            (
                b"global: {external_labels: {a: b}}\nalerting:\n  alert_relabel_configs:\n"
                b"  - {source_labels: [a], regex: '(.*)', target_label: b, replacement: $1, modulus: 0}\n"
            ),
        ),
        _YAML,
    ),
    "hub-times-and-sizes": Parser(
        _either(
            *(
                lambda data, parse=parse: parse(_text(data))
                for parse in (parse_time, parse_step, parse_duration, parse_size, parse_rfc3339, parse_store_url)
            ),
            errors=(ValueError,),
        ),
        (),
        (b"2026-11-28T10:00:00.5+01:00", b"1h30m", b"1e9", b"64MiB", b"postgresql://a:b@c/d"),
        (b"1", b"1h", b"e9", b".0", b"0"),
    ),
    # the operator: objects of users, responses of the API server
    "operator-spec": Parser(
        _spec,
        (ValueError, RecursionError),  # of json.loads
        (
            json.dumps(
                {
                    "agent": {"port": 9100, "collectors": {"filesystem": {"excludeMountPoints": "^/(dev|proc)($|/)"}}},
                    "alerts": {
                        "rules": {"cpuUsage": {"warning": 80, "for": "5m"}},
                        "groups": [{"name": "a", "rules": []}],
                    },
                    "pools": [{"name": "a", "nodeSelector": {"b": "c"}, "monitor": {"interval": "30s"}}],
                    "notifications": {
                        "receivers": [{"name": "a", "webhook": {"urlSecret": {"name": "b", "key": "c"}}}]
                    },
                }
            ).encode(),
            b'{"monitor": {"labels": {"a": "b"}, "metricRelabelings": [{"action": "drop"}]}, "paused": true}',
        ),
        _JSON,
    ),
    "operator-responses": Parser(
        _either(
            lambda data: parse_object(data, NODE),
            lambda data: parse_page(data, NODE),
            lambda data: parse_event(data, NODE),
            parse_deletion,
            errors=(InvalidResponseError,),
        ),
        (),
        (
            json.dumps(_OBJECT).encode(),
            json.dumps({"kind": "NodeList", "metadata": {"resourceVersion": "9"}, "items": [_OBJECT]}).encode(),
            json.dumps({"type": "ADDED", "object": _OBJECT}).encode(),
        ),
        _JSON,
    ),
    "yaml-text": Parser(
        lambda data: plain(read_text(_text(data))),
        (YamlError,),
        (b"a: [1, 'b']\nc: &d {e: f}\ng: *d\n",),
        (b"[", b"{a: ", b"&a [*a, ", b"? ", b"!!", b"'", *_YAML),
    ),
}
