"""Login at a real OpenID Connect provider, panva's certified oidc-provider on Node.js: roles, replays, new keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from joserfc.jwk import RSAKey

from support import hub_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed"),
]
_FOLDER = Path(__file__).parent / "oidc_provider"
_SECRET = "a secret of the test's client"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the provider; return its folder."""
    folder = tmp_path_factory.mktemp("oidc-provider")
    for name in ("package.json", "package-lock.json", "provider.mjs"):
        shutil.copy(_FOLDER / name, folder)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(install, check=True, cwd=folder, timeout=300, capture_output=True)
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def provider(packages: Path, port: int, redirect: str, kid: str) -> Iterator[None]:
    """Run the provider with a new signing key."""
    key: dict[str, Any] = {**RSAKey.generate_key(2048).as_dict(private=True), "kid": kid, "use": "sig", "alg": "RS256"}
    environment = {
        "ISSUER": f"http://127.0.0.1:{port}",
        "PORT": str(port),
        "REDIRECT": redirect,
        "SECRET": _SECRET,
        "JWKS": json.dumps({"keys": [key]}),
    }
    with (packages / "log").open("a") as log:
        process = subprocess.Popen(
            ["node", "provider.mjs"],
            cwd=packages,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert any("ready" in line for line in process.stdout), (packages / "log").read_text()
            yield
        finally:
            process.terminate()
            process.wait(30)
            if process.stdout:
                process.stdout.close()


class Browser:
    """A browser that fills in the provider's forms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx2.Client(
            follow_redirects=False, timeout=30, limits=httpx2.Limits(max_keepalive_connections=0)
        )
        self.callback = ""

    def log_in(self, user: str) -> httpx2.Response:
        """Log in; return the hub's response to the callback."""
        response = self.client.get(f"{self.url}/api/v1/oidc/login")
        while True:
            if response.is_redirect:
                target = str(response.next_request.url) if response.next_request else ""
                if target.startswith(f"{self.url}/"):
                    self.callback = target
                    return self.client.get(target)
                response = self.client.get(target)
                continue
            assert response.status_code == 200, response.text
            form = re.search(r'action="([^"]+)"', response.text)
            assert form, response.text
            kind = "login" if 'value="login"' in response.text else "consent"
            fields: Mapping[str, str] = {"prompt": kind, "login": user, "password": "any"}
            response = self.client.post(str(response.url.join(form[1])), data=fields)

    def me(self) -> Any:
        """Return what the hub reports about the user."""
        return self.client.get(f"{self.url}/api/v1/me").json()


def test_users_log_in_at_the_provider(packages: Path, tmp_path: Path) -> None:
    hub_port, port = free_port(), free_port()
    url = f"http://127.0.0.1:{hub_port}"
    secret = tmp_path / "secret"
    secret.write_text(f"{_SECRET}\n")
    settings = (
        f"--web.external-url={url}",
        f"--oidc.issuer=http://127.0.0.1:{port}",
        "--oidc.client-id=metricat",
        f"--oidc.client-secret-file={secret}",
        "--oidc.scopes=openid profile groups",
        "--oidc.roles=admins=admin,ops=editor",
    )
    redirect = f"{url}/api/v1/oidc/callback"
    with hub_process.running(tmp_path / "data", *settings, listen=f"127.0.0.1:{hub_port}") as hub:
        assert hub.url == url
        browser = Browser(url)
        with provider(packages, port, redirect, "first"):
            done = browser.log_in("ada.admins")
            assert (done.status_code, "url=/docs" in done.text) == (200, True)
            me = browser.me()
            assert (me["name"], me["role"], me["kind"]) == ("ada", "admin", "user")
            assert hub.get("/api/v1/users").json["data"][0]["login"] == "oidc"

            # the response cannot be replayed: neither in another browser, nor with the cookie of the login
            assert Browser(url).client.get(browser.callback).status_code == 401
            assert browser.client.get(browser.callback).status_code == 401

            other = Browser(url)
            other.client.get(f"{url}/api/v1/oidc/login")
            wrong = re.sub(r"state=[^&]+", "state=x", browser.callback)
            refused = other.client.get(wrong)
            assert (refused.status_code, "another login" in refused.json()["detail"]) == (401, True)
            replayed = re.sub(r"code=[^&]+", "code=x", browser.callback)
            assert other.client.get(replayed).status_code == 401

            assert Browser(url).log_in("eve.guests").status_code == 403  # no role
            assert Browser(url).log_in("ada.ops").status_code == 409  # another account of the same name

            operator = Browser(url)
            assert operator.log_in("bob.ops").status_code == 200
            assert operator.me()["role"] == "editor"
            disable = hub_process.send(
                f"{url}/api/v1/users/bob",
                b'{"disabled": true}',
                {**hub.authorization, "Content-Type": "application/json"},
                "PATCH",
            )
            assert disable.status == 200
            assert operator.client.get(f"{url}/api/v1/me").status_code == 401
            assert Browser(url).log_in("bob.ops").status_code == 401
        with provider(packages, port, redirect, "second"):  # tokens with a key that the hub has not seen
            assert Browser(url).log_in("cid.ops").status_code == 200
        unavailable = hub_process.send(f"{url}/api/v1/oidc/callback?code=x&state=x")
        assert unavailable.status == 401
