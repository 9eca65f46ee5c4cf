"""The files of the page: paths, headers, compression, and the hub without a built page."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

from metricat_hub.api import page
from support.hub_process import Response, send
from support.live_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Get = Callable[..., Response]

SCRIPT = b"console.log(1)"
NAME = "main-ABCD2345.js"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("hub"), nodes=1) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    for name, content in {"index.html": b"<!doctype html><title>page</title>", NAME: SCRIPT}.items():
        (folder / name).write_bytes(content)
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    (tmp_path / "secret-ABCD2345.js").write_text("secret")
    monkeypatch.setattr(page, "FILES", folder)
    return folder


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("path", ["/", "/nodes/web-1", "/nodes/a%2Fb", "/compare", "/alerts/history", "/settings"])
def test_each_view_is_the_page(url: str, path: str) -> None:
    response = send(f"{url}{path}")
    assert (response.status, response.body[:15]) == (200, b"<!doctype html>")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("files")
def test_the_policy_forbids_inline_code_and_other_origins(url: str) -> None:
    policy = send(url).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.usefixtures("files")
def test_files_with_a_hash_are_immutable_and_compressed(url: str) -> None:
    plain = send(f"{url}/assets/{NAME}")
    packed = send(f"{url}/assets/{NAME}", headers={"Accept-Encoding": "gzip"})
    assert plain.body == gzip.decompress(packed.body) == SCRIPT
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["content-type"].startswith("text/javascript")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("name", ["other-ABCD2345.js", "..%2Fsecret-ABCD2345.js", "index.html", f"{NAME}.gz", "%00"])
def test_other_files_are_not_served(url: str, name: str) -> None:
    response = send(f"{url}/assets/{name}")
    assert response.status == 404
    assert b"secret" not in response.body.replace(name.encode(), b"").replace(b"secret-ABCD2345.js", b"")


def test_a_rebuilt_page_is_served_without_a_restart(url: str, files: Path) -> None:
    assert b"page" in send(url).body
    (files / "index.html").write_bytes(b"<!doctype html><title>next</title>")
    assert b"next" in send(url).body


def test_the_hub_says_how_to_build_a_missing_page(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FILES", tmp_path / "none")
    response = send(url)
    assert response.status == 503
    assert b"make web" in response.body


def test_an_unknown_path_is_not_the_page(url: str) -> None:
    assert send(f"{url}/unknown").status == 404
