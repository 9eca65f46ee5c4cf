"""Servers that are not an API server, or a broken one: each command fails with one sentence and without a traceback."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from metricat_cli.__main__ import main
from metricat_cli.cluster import ApiError, ApiServer, api_server
from metricat_cli.cluster.kubeconfig import Credentials
from support.fixed_responses import body, server
from support.paths import GOLDEN

Write = Callable[[BaseHTTPRequestHandler], None]

SECONDS = 5
"""Longer than Ctrl-C takes on a busy machine, shorter than the time limit of a scrape."""
TARGET = str(GOLDEN / "minimal" / "target.yaml")
COMMANDS = {
    "status": (["status"], 1),
    "status of one target": (["status", "nodes"], 1),
    "check": (["check"], 1),
    "nodes": (["nodes"], 1),
    "top": (["top"], 1),
    "alerts": (["alerts", "-o", "json"], 1),
    "version": (["version"], 1),
    "bundle": (["bundle", "--dry-run"], 1),
    "diff": (["diff", "-f", TARGET], 2),
    "migrate": (["migrate", "--release", "x"], 1),
}


def kubeconfig(folder: Path, url: str) -> str:
    content = {
        "current-context": "a",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "a", "context": {"cluster": "c"}}],
    }
    path = folder / "config"
    path.write_text(json.dumps(content))
    return str(path)


def message(code: int, text: str) -> bytes:
    return json.dumps({"kind": "Status", "status": "Failure", "code": code, "message": text}).encode()


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"items": [')


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0\r\n")


FAULTS: dict[str, tuple[Write, str]] = {
    "page of a proxy": (body(b"<html>\n<title>Sign in</title></html>"), "returned no JSON. Check the server"),
    "bad gateway": (body(b"<html>\n<h1>Bad Gateway</h1></html>", 502), "Bad Gateway</h1></html>. Try again."),
    "not found": (body(b"<html>Not found</html>", 404), "returned 404: <html>Not found</html>. Check the server"),
    "too many requests": (body(message(429, "slow down"), 429), "slow down. Try again in a minute"),
    "a list": (body(b"[]"), "returned JSON that is not from Kubernetes. Check the server"),
    "null": (body(b"null"), "returned JSON that is not from Kubernetes. Check the server"),
    "half a response": (half, "the response ends too early"),
    "no HTTP": (no_http, "the response is not HTTP. Check the server"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_commands_report_a_broken_server_in_one_sentence(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write, expected = FAULTS[fault]
    with server(write) as url:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, url))
        for name, (arguments, status) in COMMANDS.items():
            assert main(arguments) == status, name
            shown = capsys.readouterr()
            if name == "check":
                assert "all requests to the API server succeed" in shown.out
                continue
            assert len(shown.err.splitlines()) == 1, (name, shown.err)
            assert expected in shown.err, name
            assert shown.out == "" or name == "version"


@pytest.mark.parametrize(
    "page",
    [{"items": ["a"]}, {"items": [{}]}, {"items": "abc"}, {"metadata": "x"}, {"metadata": {"continue": "again"}}],
)
def test_list_that_is_not_from_kubernetes_is_refused(page: dict[str, Any]) -> None:
    with server(body(json.dumps(page).encode())) as url, pytest.raises(ApiError, match="is not from Kubernetes"):
        ApiServer(Credentials(url)).list("/api/v1/nodes")


def test_response_with_a_broken_date_is_read() -> None:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 2\r\n\r\n{}")

    with server(write) as url, closing(ApiServer(Credentials(url))) as found:
        assert found.get("/version") == {}


def test_response_that_arrives_slowly_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return
            time.sleep(0.1)

    monkeypatch.setattr(api_server, "_WHOLE", 0.5)
    with server(write) as url, pytest.raises(ApiError, match=r"no complete response within 1 s\. Check the network"):
        ApiServer(Credentials(url), seconds=2).get("/version")


def api(handler: BaseHTTPRequestHandler, served: list[str], found: list[tuple[str, str]]) -> None:
    """Respond as the API server of a cluster with these versions of metricat.dev, and these targets."""
    path = handler.path.partition("?")[0]
    targets = [{"metadata": {"namespace": space, "name": name, "generation": 1}} for space, name in found]
    versions = [{"version": one} for one in served]
    contents: dict[str, dict[str, Any]] = {
        "/version": {"gitVersion": "v1.36.0"},
        "/apis": {"groups": [{"name": "apps", "versions": []}, {"name": "metricat.dev", "versions": versions}]},
    }
    content = contents.get(path)
    if "v1alpha1" in served:
        root = "/apis/metricat.dev/v1alpha1"
        if path == root:
            content = {"resources": [{"name": "monitoringtargets"}]}
        if path == f"{root}/monitoringtargets":
            content = {"items": targets}
        if path == f"{root}/namespaces/monitoring/monitoringtargets":
            content = {"items": [one for one in targets if one["metadata"]["namespace"] == "monitoring"]}
    if content is None:
        body(b"404 page not found\n", 404)(handler)
    else:
        body(json.dumps(content).encode())(handler)


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        ([], "Metricat is not installed in this cluster. Run: helm install"),
        (["v1beta1"], "the cluster serves metricat.dev as v1beta1, and this command line uses v1alpha1. Install"),
    ],
)
def test_cluster_without_the_version_of_the_crd_is_named(
    served: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with server(lambda handler: api(handler, served, [])) as url:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, url))
        for arguments in (["status"], ["status", "x"], ["top"], ["alerts"], ["diff", "-f", TARGET]):
            assert main(arguments) in (1, 2)
            assert expected in capsys.readouterr().err


NAMES: list[tuple[list[str], int, str]] = [
    (["status", "node", "-n", "monitoring"], 1, "monitoring/node does not exist. Did you mean nodes?"),
    (["status", "node", "-A"], 1, "the MonitoringTarget node does not exist. Did you mean nodes?"),
    (["status", "gpu", "-n", "monitoring"], 1, "It exists in the namespace team. Set: -n team"),
    (["status", "zzz", "-n", "monitoring"], 1, "does not exist. See: kubectl get mtarget -A"),
    (["status", "monitoring/nodes"], 2, "invalid NAME 'monitoring/nodes'; write nodes -n monitoring"),
    (["check", "a b"], 2, "invalid NAME 'a b'; use lowercase letters, digits, hyphens and dots"),
    (["status", "-n", "../x"], 2, "invalid --namespace '../x'; use lowercase letters"),
    (
        ["check", "--as", "a\nb"],
        1,
        "the header Impersonate-User has a control character. Check the token, and --as",
    ),
]


def test_name_that_does_not_exist_is_reported_with_the_nearest_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [("monitoring", "nodes"), ("team", "gpu")]
    with server(lambda handler: api(handler, ["v1alpha1"], found)) as url:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, url))
        for arguments, status, expected in NAMES:
            assert main(arguments) == status
            assert expected in capsys.readouterr().err


def test_namespace_without_a_target_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(lambda handler: api(handler, ["v1alpha1"], [("team", "gpu")])) as url:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, url))
        for command in ("top", "alerts"):
            assert main([command, "-n", "monitoring"]) == 1
            assert "the namespace monitoring has no MonitoringTarget. Run: kubectl" in capsys.readouterr().err
        assert main(["status", "-n", "monitoring"]) == 0
        assert "The namespace monitoring has no MonitoringTarget. Run: kubectl" in capsys.readouterr().out


def test_interrupt_ends_requests_to_agents_that_do_not_respond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released, proxied, began = threading.Event(), threading.Event(), list[float]()
    pod = {
        "metadata": {"namespace": "monitoring", "name": "agent"},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"phase": "Running"},
    }

    def write(handler: BaseHTTPRequestHandler) -> None:
        if "/proxy/" in handler.path:
            proxied.set()
            released.wait(60)
        elif "/pods" in handler.path:
            body(json.dumps({"items": [pod]}).encode())(handler)
        else:
            api(handler, ["v1alpha1"], [("monitoring", "nodes")])

    def interrupt() -> None:
        if proxied.wait(60):
            time.sleep(0.2)  # the thread waits for the response
            began.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    with server(write) as url:
        monkeypatch.setenv("KUBECONFIG", kubeconfig(tmp_path, url))
        thread = threading.Thread(target=interrupt)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
        thread.start()
        try:
            assert main(["top", "processes"]) == 130
            assert time.monotonic() - began.pop() < SECONDS
        finally:
            released.set()
            thread.join()
            signal.signal(signal.SIGINT, before)


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `metricat ARGUMENTS` in a shell, as `$METRICAT`."""
    command = f"{sys.executable} -m metricat_cli"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script.replace("$METRICAT", command)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_output_that_cannot_be_written_is_an_error_of_one_sentence() -> None:
    for arguments in ("--help", "completion bash"):
        done = run(f"$METRICAT {arguments} > /dev/full")
        assert (done.returncode, done.stderr) == (
            1,
            "metricat: cannot write the output: No space left on device. Free some space\n",
        )


def test_closed_pipe_ends_the_command_without_a_message() -> None:
    done = run("(sleep 1; $METRICAT --help; echo status $? >&2) | true")
    assert done.stderr == "status 141\n"


def test_output_without_unicode_is_readable(tmp_path: Path) -> None:
    with server(body(b"{}")) as url:
        done = run(f"$METRICAT check --kubeconfig {kubeconfig(tmp_path, url)}", PYTHONIOENCODING="ascii")
    assert done.stderr == ""
    assert "+ the API server responds" in done.stdout
    assert "\nx " in done.stdout


def test_closed_standard_input_is_an_error_of_one_sentence() -> None:
    done = run("$METRICAT render -f - <&-")
    assert (done.returncode, done.stderr) == (
        1,
        "metricat: cannot read standard input: it is closed. Correct the file or its path\n",
    )
