"""Configuration of the components: pure functions, and files that only their owner can read."""

import asyncio
import base64
import json
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from metricat_tools.cluster import components, kubeconfig, mounts, node_files, port_forward, simulated
from metricat_tools.cluster.audit import AuditLog
from metricat_tools.cluster.pki import Authority, CertificateAndKey
from metricat_tools.cluster.state import State
from metricat_tools.errors import ToolError


def layout(tmp_path: Path, *, loopback: bool = True, audit: bool = False) -> components.Layout:
    pair = CertificateAndKey(tmp_path / "a.crt", tmp_path / "a.key")
    programs = {name: Path("/bin") / name for name in ("etcd", "kube-apiserver", "kube-controller-manager")}
    return components.Layout(
        tmp_path,
        programs,
        "198.51.100.1",
        6443,
        pair,
        tmp_path / "sa",
        pair,
        pair,
        audit=audit,
        grace=40,
        loopback=loopback,
    )


def test_rbac_is_always_on_and_the_audit_log_is_optional(tmp_path: Path) -> None:
    plain = components.kube_apiserver(layout(tmp_path))
    assert "--authorization-mode=Node,RBAC" in plain
    assert not any("audit" in str(word) for word in plain)
    assert f"--audit-log-path={tmp_path}/audit.log" in components.kube_apiserver(layout(tmp_path, audit=True))


def test_only_a_cluster_with_nodes_advertises_its_address(tmp_path: Path) -> None:
    assert "--advertise-address=198.51.100.1" in components.kube_apiserver(layout(tmp_path, loopback=False))
    assert "--endpoint-reconciler-type=none" in components.kube_apiserver(layout(tmp_path))


def test_old_controller_manager_gets_no_gate_of_newer_versions(tmp_path: Path) -> None:
    new = layout(tmp_path)
    gates = [
        [str(word) for word in components.kube_controller_manager(one, tmp_path) if "gates" in str(word)]
        for one in (new, replace(new, old=True))
    ]
    assert gates == [["--feature-gates=StaleControllerConsistencyDaemonSet=false"], []]


def test_etcd_listens_only_on_a_socket(tmp_path: Path) -> None:
    assert not any("http" in str(word) for word in components.etcd(layout(tmp_path)))


def test_certificates_have_user_and_groups_and_keys_are_private(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    authority.create()
    pair = authority.issue("n1", "system:node:n1", ["system:nodes"], hosts=["198.51.100.11", "n1"])
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "system:node:n1"
    assert certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["n1"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.pair.certificate.read_bytes()))
    keys = [authority.pair.key, authority.service_account_key, pair.key]
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700


def test_kubeconfig_embeds_credentials(tmp_path: Path) -> None:
    for name in ("ca", "crt", "key"):
        (tmp_path / name).write_text(name)
    pair = CertificateAndKey(tmp_path / "crt", tmp_path / "key")
    path = kubeconfig.write(tmp_path / "config", "https://127.0.0.1:1", tmp_path / "ca", pair)
    content = yaml.safe_load(path.read_text())
    assert content["clusters"][0]["cluster"]["certificate-authority-data"] == base64.b64encode(b"ca").decode()
    assert content["users"][0]["user"]["client-key-data"] == base64.b64encode(b"key").decode()
    kubeconfig.write(path, "https://127.0.0.1:1", tmp_path / "ca", "secret")
    assert yaml.safe_load(path.read_text())["users"][0]["user"] == {"token": "secret"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("restrict", [True, False])
def test_containerd_writes_only_below_the_nodes_folder(*, restrict: bool) -> None:
    programs = {name: Path("/c") / name for name in ("ptp", "containerd-shim-runc-v2", "runc")}
    text = node_files.containerd(Path("/f"), programs, restrict_oom_score=restrict)
    assert f"restrict_oom_score_adj = {str(restrict).lower()}\n" in text
    for line in text.splitlines():
        if line.startswith(("root", "state", "  address", "  conf_dir")):
            assert '"/f/' in line


def test_kubelet_accepts_control_groups_of_both_versions() -> None:
    settings = node_files.kubelet(Path("/f"), "metricat/c/n1", Path("ca"), Path("crt"), Path("key"))
    assert (settings["cgroupRoot"], settings["cgroupDriver"], settings["failCgroupV1"]) == (
        "/metricat/c/n1",
        "cgroupfs",
        False,
    )


def test_pod_ranges_of_nodes_are_different() -> None:
    ranges = [
        json.dumps(node_files.cni(Path("/f"), number)["plugins"][0]["ipam"]["ranges"]) for number in range(1, 201)
    ]
    assert len(set(ranges)) == 200


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "a" * 31])
def test_unsuitable_cluster_name_is_refused(name: str) -> None:
    with pytest.raises(ToolError, match="cannot name a cluster"):
        State(name)


def test_longest_socket_path_of_the_longest_name_fits() -> None:
    folder = State("a" * 30).folder
    assert len(f"{folder}/nodes/n200/kubelet/pod-resources/kubelet.sock") < 108


def test_names_of_simulated_nodes_fill_gaps_first() -> None:
    assert simulated.free_names(3, {"sim-0001", "sim-0003"}) == ["sim-0002", "sim-0004", "sim-0005"]


def test_simulated_node_has_its_labels_and_taints() -> None:
    taint = {"key": "gpu", "effect": "NoSchedule"}
    made = simulated.node("a", {"pool": "gpu"}, [taint])
    assert made["metadata"]["labels"]["pool"] == "gpu"
    assert made["spec"]["taints"] == [taint]
    assert made["status"]["conditions"][0]["status"] == "True"


def test_audited_requests_and_watches_are_returned_once(tmp_path: Path) -> None:
    def event(verb: str, stage: str = "ResponseComplete") -> str:
        target = {"apiGroup": "apps", "resource": "daemonsets", "subresource": "status", "name": "a", "namespace": "b"}
        at = {"requestReceivedTimestamp": "2030-01-02T03:04:05.1Z", "stageTimestamp": "2030-01-02T03:04:05.2Z"}
        return json.dumps({"verb": verb, "stage": stage, "user": {"username": "u"}, "objectRef": target, **at}) + "\n"

    path = tmp_path / "audit.log"
    path.write_text(event("patch") + event("watch", "ResponseStarted") + event("watch"))
    log = AuditLog(path)
    seen = log.read()
    assert [(one.verb, one.resource, one.writes) for one in seen] == [
        ("patch", "apps/daemonsets/status", True),
        ("watch", "apps/daemonsets/status", False),
    ]
    assert log.read() == []
    half = event("get")
    with path.open("a") as file:
        file.write(half[:10])
    assert log.read() == []
    with path.open("a") as file:
        file.write(half[10:])
    assert [one.verb for one in log.read()] == ["get"]


def test_port_forward_copies_both_directions_and_their_end() -> None:
    asyncio.run(_forward_and_check())


async def _forward_and_check() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())  # `read` returns only when the other side has ended its direction
        writer.close()

    inner = await asyncio.start_server(shout, "127.0.0.1", 0)
    listener = socket.create_server(("127.0.0.1", 0))
    outside, inside = listener.getsockname()[1], inner.sockets[0].getsockname()[1]
    serving = asyncio.create_task(port_forward.serve(listener, "127.0.0.1", inside))
    reader, writer = await asyncio.open_connection("127.0.0.1", outside)
    writer.write(b"x" * 100_000)
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 5) == b"X" * 100_000
    writer.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    inner.close()


def test_private_folders_are_absolute_and_not_nested() -> None:
    paths = [Path(path) for path in mounts.PRIVATE]
    assert all(path.is_absolute() for path in paths)
    assert not any(one != other and one.is_relative_to(other) for one in paths for other in paths)
