"""Reads a web config file in Prometheus' own format and makes of it what the guard needs."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from typing import Any

import yaml

from metricat_agent import passwords
from metricat_agent.sources import SettingError
from metricat_agent.web import Web, no_pass_phrase

_SECTIONS = ("tls_server_config", "http_server_config", "basic_auth_users")
_TLS = (
    *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "client_allowed_sans"),
    *("min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
)
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_SUITE = re.compile(r"TLS_(ECDHE_(?:RSA|ECDSA))_WITH_(?:AES_(128|256)_GCM_SHA\d+|CHACHA20_POLY1305(?:_SHA256)?)")
_ALWAYS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Suites of TLS 1.3, which no list switches off, neither here nor in Go."""
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t\x20-\x7e\xa0-\xff]*")
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


class WebConfigError(SettingError):
    """The file cannot be used; the message names it, the key, and the way out."""


def load(path: str) -> Web:
    """Read the file and all that it names; raises `WebConfigError`."""
    try:
        with open(path, encoding="utf-8") as opened:  # noqa: PTH123 -- texts everywhere else
            given = yaml.safe_load(opened)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise WebConfigError(f"--web.config.file={path}: cannot be read as YAML ({_brief(error)})") from None
    if given is None:  # Prometheus takes it for no rules at all, but it is what an interrupted writer leaves
        raise WebConfigError(f"--web.config.file={path}: is empty; write {{}} if nothing is to be asked for")
    try:
        return _web(given, os.path.abspath(path))  # noqa: PTH100 -- as above
    except _ValueError as error:
        raise WebConfigError(f"--web.config.file={path}: {error}") from None


class _ValueError(Exception):
    """A part of the file that cannot be used."""


def _web(given: object, path: str) -> Web:
    folder = os.path.dirname(path)  # noqa: PTH120 -- as above
    sections = _mapping("the file", given, _SECTIONS)
    tls = _mapping("tls_server_config", sections.get("tls_server_config"), _TLS)
    http = _mapping("http_server_config", sections.get("http_server_config"), ("http2", "headers"))
    headers = _mapping("http_server_config.headers", http.get("headers"))
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}: {value}"):
            raise _ValueError(f"http_server_config.headers.{name!r} cannot be sent; write Latin letters on one line")
    users = _mapping("basic_auth_users", sections.get("basic_auth_users"))
    for name, hashed in users.items():
        if not _HASH.fullmatch(str(hashed)):
            raise _ValueError(f"basic_auth_users.{name} is no bcrypt hash; make one with: htpasswd -nB {name}")
    if users:
        try:
            passwords.hasher()
        except passwords.NoBcryptError as error:
            raise _ValueError(str(error)) from None
    return Web(
        context=_context(tls, folder) if tls else None,
        users={str(name): str(hashed) for name, hashed in users.items()},
        headers=tuple((str(name), str(value)) for name, value in headers.items()),
        files=(path, *_paths(tls, folder).values()),
    )


def _paths(tls: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Return the files that are named, as seen from the folder of the file that names them."""
    keys = ("cert_file", "key_file", "client_ca_file")
    return {key: os.path.join(folder, str(tls[key])) for key in keys if tls.get(key)}  # noqa: PTH118 -- as above


def _context(tls: Mapping[str, Any], folder: str) -> ssl.SSLContext:
    for key in ("cert", "key", "client_ca"):
        if tls.get(key):
            raise _ValueError(f"tls_server_config.{key} is not supported; put it into a file and name it in {key}_file")
    for key in ("cert_file", "key_file"):
        if not tls.get(key):
            raise _ValueError(f"tls_server_config lacks {key}; name a PEM file")
    if tls.get("client_allowed_sans"):
        raise _ValueError("tls_server_config.client_allowed_sans is not supported; sign clients with a CA of their own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _version("min_version", tls, "TLS12")
    context.maximum_version = _version("max_version", tls, "TLS13")
    if context.minimum_version > context.maximum_version:
        raise _ValueError("tls_server_config.min_version is above max_version; swap them")
    if suites := [suite for suite in _texts("cipher_suites", tls) if suite not in _ALWAYS]:
        _try("cipher_suites", lambda: context.set_ciphers(":".join(map(_openssl_name, suites))))
    if curves := _texts("curve_preferences", tls):
        _try("curve_preferences", lambda: context.set_ecdh_curve(_CURVES.get(curves[0], curves[0])))
    paths = _paths(tls, folder)
    _try(
        "cert_file and key_file", lambda: context.load_cert_chain(paths["cert_file"], paths["key_file"], no_pass_phrase)
    )
    _clients(context, str(tls.get("client_auth_type", "")), paths.get("client_ca_file"))
    return context


def _clients(context: ssl.SSLContext, kind: str, authority: str | None) -> None:
    if authority and not kind:
        kind = "RequireAndVerifyClientCert"
    if kind not in _CLIENT:
        raise _ValueError(f"tls_server_config.client_auth_type: {kind} is none of {', '.join(filter(None, _CLIENT))}")
    context.verify_mode = _CLIENT[kind]
    if context.verify_mode == ssl.CERT_NONE:
        return
    if not authority:
        raise _ValueError(f"tls_server_config.client_auth_type: {kind} needs client_ca_file; name a PEM file")
    _try("client_ca_file", lambda: context.load_verify_locations(authority))


def _version(key: str, tls: Mapping[str, Any], default: str) -> ssl.TLSVersion:
    asked = str(tls.get(key) or default)
    if asked not in _VERSIONS:
        raise _ValueError(f"tls_server_config.{key}: {asked} is none of {', '.join(_VERSIONS)}")
    return _VERSIONS[asked]


def _texts(key: str, tls: Mapping[str, Any]) -> list[str]:
    given = tls.get(key) or []
    if not isinstance(given, list):
        raise _ValueError(f"tls_server_config.{key} is not a list; write [A, B]")
    return [str(one) for one in given]


def _openssl_name(suite: str) -> str:
    """Return OpenSSL's name of a suite of TLS 1.2 that is called as in the RFCs."""
    found = _SUITE.fullmatch(suite)
    if not found:
        raise _ValueError(
            f"tls_server_config.cipher_suites: {suite} is not supported; write such as "
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, or leave the list out"
        )
    rest = {"128": "AES128-GCM-SHA256", "256": "AES256-GCM-SHA384", None: "CHACHA20-POLY1305"}[found[2]]
    return f"{found[1].replace('_', '-')}-{rest}"


def _mapping(what: str, given: object, keys: tuple[str, ...] = ()) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _ValueError(f"{what} is not a mapping; write KEY: VALUE lines")
    if keys and (unknown := [key for key in given if key not in keys]):
        raise _ValueError(f"{what} has the unknown key {unknown[0]}; it may have {', '.join(keys)}")
    return given


def _try(what: str, act: Any) -> None:
    try:
        act()
    except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError
        raise _ValueError(f"tls_server_config.{what}: {_brief(error)}") from None


def _brief(error: Exception) -> str:
    """Return an error in one line, without what the file holds."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"{getattr(error, 'problem', 'a mistake')} in line {mark.line + 1}"
    return str(error)
