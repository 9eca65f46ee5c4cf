"""The gRPC API by reflection and by the generated client, against a real hub; each use case by both of its faces."""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from metricat_hub.client import HubClient
from metricat_hub.protocol.v1 import metrics_pb2 as messages
from metricat_hub.protocol.v1.alerts_pb2 import GetAlertHistoryRequest
from metricat_hub.store.alert_history import open_sqlite
from support import hub_process
from support.alert_history_contract import RETENTION, alert, whole
from support.certificates import self_signed
from support.hub_store import HOUR, MINUTE
from support.live_client import SECOND, live, milliseconds, push

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub_process import HubProcess

NODES = ("n1", "n2", "n3")
SERVICE = "metricat.v1.MetricsService"
ALERTS = "metricat.v1.AlertService"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Grpc:
    """A hub with gRPC, and calls by reflection as grpcurl makes them: only the address is known."""

    def __init__(self, hub: HubProcess, port: int) -> None:
        self.hub = hub
        self.address = f"127.0.0.1:{port}"
        self.channel = grpc.insecure_channel(self.address)
        self.pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def client(self, key: str | None = None) -> HubClient:
        return HubClient(self.address, self.hub.key if key is None else key, insecure=True)

    def call(self, method: str, request: dict[str, Any], key: str | None = None, **options: Any) -> dict[str, Any]:
        """Call a unary method with a request as JSON; return the response as JSON."""
        service = options.get("service", SERVICE)
        found = self.pool.FindServiceByName(service).FindMethodByName(method)
        answer = GetMessageClass(found.output_type)
        call: Any = self.channel.unary_unary(
            f"/{service}/{method}", lambda message: message.SerializeToString(), answer.FromString
        )
        key = self.hub.key if key is None else key
        metadata = (("authorization", f"Bearer {key}"),) if key else ()
        message = ParseDict(request, GetMessageClass(found.input_type)())
        response = call(message, metadata=metadata, timeout=options.get("timeout", 30))
        return MessageToDict(response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

    def error(self, method: str, request: dict[str, Any], key: str | None = None, **options: Any) -> grpc.Call:
        """Return the error of a unary call."""
        with pytest.raises(grpc.RpcError) as raised:
            self.call(method, request, key, **options)
        return failed(raised.value)


def failed(error: grpc.RpcError) -> grpc.Call:
    """Return the call of an error."""
    assert isinstance(error, grpc.Call)
    return error


def details(error: grpc.Call) -> dict[str, Any]:
    """Return the details of an error by type."""
    [found] = [value for name, value in error.trailing_metadata() or () if name == "grpc-status-details-bin"]
    assert isinstance(found, bytes)
    status = Status.FromString(found)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    known = {kind.DESCRIPTOR.name: kind for kind in vars(error_details_pb2).values() if hasattr(kind, "DESCRIPTOR")}
    result = {}
    for packed in status.details:
        kind = known[packed.TypeName().rpartition(".")[2]]
        message = kind()
        packed.Unpack(message)
        result[kind.DESCRIPTOR.name] = MessageToDict(message)
    return result


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grpc]:
    port = free_port()
    settings = ("--collect.interval=1s", f"--grpc.listen=127.0.0.1:{port}", "--rate-limit.keys=0")
    folder = tmp_path_factory.mktemp("hub")
    history = open_sqlite(folder, RETENTION)
    for place in range(5):
        labels = alert(node=NODES[place % 3])
        history.record(whole(int(time.time() * 1000) - (place + 1) * HOUR, MINUTE, labels, acknowledged=1000))
    history.close()
    with hub_process.running(folder, *settings) as running:
        push(running, NODES)
        found = Grpc(running, port)
        yield found
        found.channel.close()


def test_reflection_and_health_need_no_key(api: Grpc) -> None:
    services = ProtoReflectionDescriptorDatabase(api.channel).get_services()
    assert sorted(services) == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", ALERTS, SERVICE]
    methods = [method.name for method in api.pool.FindServiceByName(SERVICE).methods]
    assert methods == ["CollectMetrics", "StreamMetrics", "GetMetricHistory"]
    health: Any = health_pb2_grpc.HealthStub(api.channel)
    for name in ("", SERVICE, ALERTS):
        found = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=30)
        assert found.status == health_pb2.HealthCheckResponse.SERVING


# Both faces of collect: the same batch, the same answer, the same effect.


def collect_rest(api: Grpc, batch: dict[str, Any], key: str | None = None) -> tuple[str, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    response = api.hub.post("/api/v1/metrics/collect", json.dumps(batch).encode(), headers)
    status = {
        200: "OK",
        400: "INVALID_ARGUMENT",
        403: "PERMISSION_DENIED",
        409: "ALREADY_EXISTS",
        429: "RESOURCE_EXHAUSTED",
    }
    return status[response.status], response.json


def collect_grpc(api: Grpc, batch: dict[str, Any], key: str | None = None) -> tuple[str, dict[str, Any]]:
    try:
        found = api.call("CollectMetrics", batch, key)
    except grpc.RpcError as error:
        return failed(error).code().name, {"detail": failed(error).details()}
    numbers: dict[str, Any] = {
        name: int(found[name]) for name in ("sequence", "accepted", "duplicates") if name in found
    }
    return "OK", {**found, **numbers}


FACES = pytest.mark.parametrize("collect", [collect_rest, collect_grpc])


@FACES
def test_batch_is_stored_once_and_rejected_samples_are_named(collect: Any, api: Grpc) -> None:
    name = f"temperature_{collect.__name__}"
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    batch = {
        "collector_id": collect.__name__,
        "hostname": "pi",
        "sequence": 7,
        "metrics": [
            {"name": name, "value": 21.5, "labels": {"room": "a"}, "timestamp": at},
            {"name": "wrong-name", "value": 1},
            {"name": name, "value": "NaN", "labels": {"room": "b"}, "timestamp": at},
        ],
    }
    rejected = [
        {
            "index": 1,
            "name": "wrong-name",
            "reason": "name: not a metric name; use letters, digits, _ and :, without a digit first",
        }
    ]
    expected = {"collector_id": collect.__name__, "sequence": 7, "accepted": 2, "duplicates": 0, "rejected": rejected}
    assert collect(api, batch) == ("OK", {**expected, "repeated": False})
    assert collect(api, batch) == ("OK", {**expected, "repeated": True})
    batch["metrics"][0]["value"] = 22.0
    status, answer = collect(api, batch)
    assert (status, "another batch" in answer["detail"]) == ("ALREADY_EXISTS", True)
    found = api.hub.get("/api/v1/query", query=name).json["data"]["result"]
    assert {one["metric"]["room"]: one["value"][1] for one in found} == {"a": "21.5", "b": "NaN"}
    assert {one["metric"]["node"] for one in found} == {"pi"}


@FACES
def test_batch_needs_the_scope_names_and_a_rate(collect: Any, api: Grpc) -> None:
    batch = {"collector_id": f"fast_{collect.__name__}", "hostname": "pi", "metrics": []}
    assert collect(api, batch, hub_process.create_key(api.hub, "read"))[0] == "PERMISSION_DENIED"
    assert collect(api, {**batch, "hostname": ""})[0] == "INVALID_ARGUMENT"
    statuses = [collect(api, batch)[0] for _ in range(102)]
    assert statuses[:100] == ["OK"] * 100
    assert statuses[-1] == "RESOURCE_EXHAUSTED"


# Both faces of history.


def history_rest(api: Grpc, wanted: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    found = api.hub.get("/api/v1/metrics/history", **{"limit": 10_000, **wanted}).json
    return {one["node"]: [(milliseconds(at), value) for at, value in one["points"]] for one in found["data"]}


def history_grpc(api: Grpc, wanted: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
    request = messages.GetMetricHistoryRequest(metric=wanted["metric"], nodes=wanted.get("node", ()), page_size=2)
    request.start.FromSeconds(wanted["start"])
    request.end.FromSeconds(wanted["end"])
    request.step.FromSeconds(int(wanted["step"]))
    request.aggregation = getattr(messages, f"AGGREGATION_{wanted['aggregation'].upper()}")
    with api.client() as client:
        return {one.node: list(zip(one.times, one.values, strict=True)) for one in client.history(request)}


@pytest.mark.parametrize("face", [history_rest, history_grpc])
@pytest.mark.parametrize("metric", ["node_load1", "load_average_1m"])
def test_history_has_the_aggregate_of_each_step(face: Any, metric: str, api: Grpc) -> None:
    found = api.hub.get("/api/v1/query", query='timestamp(node_load1{node="n1"})').json["data"]["result"]
    end = int(float(found[0]["value"][1]))
    wanted = {"metric": metric, "start": end - 60, "end": end, "step": 20, "aggregation": "max"}
    expected = {
        node: [(at * SECOND, pytest.approx(at + number / 1000)) for at in range(end - 60, end + 1, 20)]
        for number, node in enumerate(NODES)
    }
    assert face(api, wanted) == expected
    assert face(api, {**wanted, "node": ["n2"]}) == {"n2": expected["n2"]}


# Both faces of live values.


def test_stream_has_the_rounds_of_the_websocket(api: Grpc) -> None:
    with api.client() as client, live(api.hub) as socket_client:
        socket_client.subscribe("node_load1", "load_average_1m", nodes=["n1", "n3"])
        stream = client.stream(["node_load1", "load_average_1m"], ["n1", "n3"])
        received = {one.time.ToMilliseconds(): one for one in itertools.islice(stream, 4)}
        other = {milliseconds(one["time"]): one for one in (socket_client.round() for _ in range(5))}
    shared = sorted(received.keys() & other.keys())
    assert len(shared) >= 2
    for at in shared:
        assert [(one.metric, one.unit, dict(one.labels)) for one in received[at].metrics] == [
            (one["metric"], one["unit"], one["labels"]) for one in other[at]["data"]
        ]
        assert [[(v.node, v.value, dict(v.labels)) for v in one.values] for one in received[at].metrics] == [
            [(v["node"], v["value"], v["labels"]) for v in one["values"]] for one in other[at]["data"]
        ]


def test_stream_replays_missed_rounds(api: Grpc) -> None:
    now = int(time.time())
    request = messages.StreamMetricsRequest(metrics=["node_load1"], nodes=["n1"])
    request.since.FromSeconds(now - 20)
    with api.client() as client:
        stream = client.stub.StreamMetrics(request, metadata=(("authorization", f"Bearer {api.hub.key}"),), timeout=60)
        found = list(itertools.islice(stream, 22))
        stream.cancel()
    times = [one.time.ToSeconds() for one in found]
    assert times[:18] == list(range(now - 19, now - 1))
    assert all(one.replayed for one in found[:18])
    assert not found[-1].replayed


def test_client_continues_after_a_restart(tmp_path: Path) -> None:
    settings = ("--collect.interval=1s", f"--grpc.listen=127.0.0.1:{free_port()}")
    with hub_process.running(tmp_path, *settings) as first:
        push(first, NODES)
        client = HubClient(settings[1].partition("=")[2], first.key, insecure=True)
        stream = client.stream(["node_load1"])
        last = next(stream).time.ToSeconds()
    time.sleep(2)
    with client, hub_process.running(tmp_path, *settings):
        found = [next(stream) for _ in range(6)]
        for one in found:
            assert one.time.ToSeconds() == last + 1 + one.skipped
            last = one.time.ToSeconds()
        replayed = [one for one in found if one.replayed]
        assert len(replayed) >= 2
        assert replayed[0].skipped == 0
        stream.close()  # type: ignore[attr-defined]


def test_revoked_key_ends_the_stream(api: Grpc) -> None:
    key = hub_process.create_key(api.hub, "read")
    with api.client(key) as client:
        stream = client.stream(["node_load1"], ["n1"])
        next(stream)
        hub_process.revoke_key(api.hub, key)
        with pytest.raises(grpc.RpcError) as raised:
            list(itertools.islice(stream, 30))
    assert failed(raised.value).code() == grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("call", "code", "kind", "detail"),
    [
        (("GetMetricHistory", {}), "INVALID_ARGUMENT", "BadRequest", "metric"),
        (("GetMetricHistory", {"metric": "m", "step": "-1s"}), "INVALID_ARGUMENT", "BadRequest", "step"),
        (("GetMetricHistory", {"metric": "m", "page_token": "x"}), "INVALID_ARGUMENT", "BadRequest", "page_token"),
        (("GetMetricHistory", {"metric": "m", "page_size": -1}), "INVALID_ARGUMENT", "BadRequest", "page_size"),
        (("GetMetricHistory", {"metric": "m", "aggregation": 9}), "INVALID_ARGUMENT", "BadRequest", "aggregation"),
        (("GetMetricHistory", {"metric": "a b"}), "INVALID_ARGUMENT", "ErrorInfo", "INVALID_QUERY"),
        (("GetMetricHistory", {"metric": "node_lod1"}), "NOT_FOUND", "ErrorInfo", "UNKNOWN_METRIC"),
        (("CollectMetrics", {"metrics": []}), "INVALID_ARGUMENT", "ErrorInfo", "DECODE"),
    ],
)
def test_error_has_a_status_with_details(
    call: tuple[str, dict[str, Any]], code: str, kind: str, detail: str, api: Grpc
) -> None:
    error = api.error(*call)
    assert error.code().name == code
    found = details(error)[kind]
    if kind == "BadRequest":
        assert found["fieldViolations"][0]["field"] == detail
    else:
        assert (found["reason"], found["domain"]) == (detail, "metricat")


def test_calls_without_a_valid_key_or_past_their_deadline_fail(api: Grpc) -> None:
    for key in ("", "metricat_0123456789ab_" + "A" * 43):
        error = api.error("GetMetricHistory", {"metric": "node_load1"}, key)
        assert error.code() == grpc.StatusCode.UNAUTHENTICATED
        assert details(error)["ErrorInfo"]["reason"] == "AUTHENTICATION"
    error = api.error("GetMetricHistory", {"metric": "node_load1"}, timeout=0.000_1)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


def test_huge_request_is_refused(api: Grpc) -> None:
    metrics = [{"name": "m", "value": 1, "labels": {"text": "x" * 8000}}] * 1200
    error = api.error("CollectMetrics", {"collector_id": "c", "hostname": "h", "metrics": metrics})
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_rate_limit_names_the_time_to_retry(tmp_path: Path) -> None:
    port = free_port()
    with hub_process.running(tmp_path, f"--grpc.listen=127.0.0.1:{port}", "--rate-limit.keys=3") as hub:
        limited = Grpc(hub, port)
        for _ in range(3):
            assert limited.error("GetMetricHistory", {"metric": "none"}).code() == grpc.StatusCode.NOT_FOUND
        error = limited.error("GetMetricHistory", {"metric": "none"})
        assert (error.code().name, "RetryInfo" in details(error)) == ("RESOURCE_EXHAUSTED", True)
        limited.channel.close()


def test_tls_and_client_certificates_of_the_web_config_file(tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    self_signed(tmp_path, "client")
    self_signed(tmp_path, "stranger")
    config = tmp_path / "web.yaml"
    config.write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: client.crt}\n")
    port = free_port()
    read = {
        name: (tmp_path / name).read_bytes()
        for name in ("tls.crt", "client.key", "client.crt", "stranger.key", "stranger.crt")
    }
    with hub_process.running(
        tmp_path / "data", f"--web.config.file={config}", f"--grpc.listen=127.0.0.1:{port}"
    ) as hub:
        request = messages.CollectMetricsRequest(collector_id="c", hostname="h")
        own = read["client.key"], read["client.crt"]
        with HubClient(f"localhost:{port}", hub.key, authority=read["tls.crt"], certificate=own) as client:
            assert client.collect(request).accepted == 0
        for certificate in (None, (read["stranger.key"], read["stranger.crt"])):
            with (
                HubClient(f"localhost:{port}", hub.key, authority=read["tls.crt"], certificate=certificate) as client,
                pytest.raises(grpc.RpcError) as raised,
            ):
                client.collect(request, 5)
            assert failed(raised.value).code() == grpc.StatusCode.UNAVAILABLE


def test_used_address_and_open_address_are_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        status, error = hub_process.failed(tmp_path, f"--grpc.listen={address}")
        assert (status, "--grpc.listen" in error) == (1, True)
    status, error = hub_process.failed(tmp_path, "--grpc.listen=:8429")
    assert (status, "--grpc.listen" in error, "TLS" in error) == (2, True, True)


# The history of alerts.


def test_alert_history_is_that_of_rest(api: Grpc) -> None:
    rest = api.hub.get("/api/v1/alerts/history").json["data"]
    assert len(rest) == 5
    found = api.call("GetAlertHistory", {}, service=ALERTS)["episodes"]
    assert [one["fingerprint"] for one in found] == [one["fingerprint"] for one in rest]
    first = found[0]
    for name in ("started", "fired", "resolved", "acknowledged", "acknowledged_by", "value", "labels", "annotations"):
        assert first[name] == rest[0][name]
    assert (first["state"], first["notifications"]) == ("ALERT_STATE_RESOLVED", "0")
    assert "silenced" not in first
    selected = {"nodes": ["n2"], "states": ["ALERT_STATE_RESOLVED"], "severities": ["warning"], "alerts": ["High"]}
    assert [one["labels"]["node"] for one in api.call("GetAlertHistory", selected, service=ALERTS)["episodes"]] == [
        *("n2", "n2")
    ]
    assert api.call("GetAlertHistory", {"receivers": ["mail"]}, service=ALERTS)["episodes"] == []


def test_client_reads_all_pages_of_the_alert_history(api: Grpc) -> None:
    with api.client() as client:
        found = list(client.alert_history(GetAlertHistoryRequest(page_size=2)))
    assert [one.labels["node"] for one in found] == ["n1", "n2", "n3", "n1", "n2"]


def test_errors_of_the_alert_history_name_the_field(api: Grpc) -> None:
    for request, name in (
        ({"page_size": 10_001}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"states": ["ALERT_STATE_UNSPECIFIED"]}, "states"),
        ({"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}, "start"),
    ):
        error = api.error("GetAlertHistory", request, service=ALERTS)
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert details(error)["BadRequest"]["fieldViolations"][0]["field"] == name
    assert api.error("GetAlertHistory", {}, "wrong", service=ALERTS).code() == grpc.StatusCode.UNAUTHENTICATED


# Alert rules.

THRESHOLD = {"measure": "load_average_1m", "threshold": 1e6, "for_duration": "300s", "labels": {"team": "a"}}


def test_configured_alert_is_that_of_the_rest_api(api: Grpc) -> None:
    tried = api.call(
        "ConfigureAlert", {"rule": {"name": "Now", "expression": "vector(3)"}, "dry_run": True}, service=ALERTS
    )
    [alert] = tried["alerts"]
    assert (alert["state"], alert["value"]) == ("ALERT_STATE_FIRING", 3)
    assert alert["labels"] == {"alertname": "Now", "severity": "warning"}
    made = api.call("ConfigureAlert", {"rule": THRESHOLD, "comment": "why"}, service=ALERTS)
    rest = api.hub.get(f"/api/alerts/rules/{made['id']}").json
    assert (rest["version"], rest["rules"][0]["for_seconds"], rest["rules"][0]["labels"]["team"]) == (1, 300, "a")
    assert made["expressions"] == [rest["rules"][0]["expression"]]
    request = {"id": made["id"], "version": "1", "rule": {**THRESHOLD, "threshold": 5e6}}
    assert api.call("ConfigureAlert", request, service=ALERTS)["version"] == "2"
    assert api.error("ConfigureAlert", request, service=ALERTS).code() == grpc.StatusCode.ABORTED
    versions = api.hub.get(f"/api/alerts/rules/{made['id']}/versions").json["data"]
    assert [one["comment"] for one in versions] == ["", "why"]
    api.call("ConfigureAlert", {"id": made["id"], "version": "2", "delete": True}, service=ALERTS)
    assert api.hub.get(f"/api/alerts/rules/{made['id']}").status == 404


def test_shipped_alert_is_configured_by_level_and_pool(api: Grpc) -> None:
    level = {"warning": {"threshold": 70, "for_duration": "60s"}}
    rule = {"levels": level, "pools": {"batch": {"levels": {"critical": {"enabled": False}}}}}
    request = {"id": "NodeCPUUsageHigh", "rule": rule, "dry_run": True}
    found = api.call("ConfigureAlert", request, service=ALERTS)
    thresholds = [re.findall(r":percent\{[^}]*\} >= (\d+)", one)[:1] for one in found["expressions"]]
    assert thresholds == [["70"], ["95"], ["70"]]


@pytest.mark.parametrize(
    ("request_", "code", "field"),
    [
        ({"rule": {"measure": "cpu_usag", "threshold": 1}}, "INVALID_ARGUMENT", "measure"),
        ({"id": "NodeCPUUsageHigh", "rule": {"levels": {"warning": {}}}}, "INVALID_ARGUMENT", "version"),
        ({"rule": {**THRESHOLD, "operator": "=>"}}, "INVALID_ARGUMENT", "rule"),
        ({}, "INVALID_ARGUMENT", "rule"),
        ({"id": "none", "version": "1", "rule": THRESHOLD}, "NOT_FOUND", ""),
    ],
)
def test_wrong_alert_is_named(api: Grpc, request_: dict[str, Any], code: str, field: str) -> None:
    error = api.error("ConfigureAlert", request_, service=ALERTS)
    assert error.code().name == code
    if field:
        assert details(error)["BadRequest"]["fieldViolations"][0]["field"] == field
