"""TLS context from the section ``tls_server_config`` of a web config file."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from metricat_agent.web.access.rules import no_pass_phrase
from metricat_agent.web.access.tls_groups import CURVES, set_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TEXTS = (
    *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type"),
    *("min_version", "max_version"),
)
LISTS = ("client_allowed_sans", "cipher_suites", "curve_preferences")
SWITCHES = ("prefer_server_cipher_suites",)
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,  # nothing uses the certificate, so the server does not request it
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED = ("RequireAnyClientCert", "RequireClientCert")
_SUITES = {
    f"TLS_ECDHE_{kind}_WITH_{name}": f"ECDHE-{kind}-{openssl}"
    for kind in ("ECDSA", "RSA")
    for name, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
"""OpenSSL's names of the TLS 1.2 suites that Go supports, by their names in the RFCs."""
_ALWAYS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Suites of TLS 1.3. No list disables them, neither here nor in Go."""


class TlsError(Exception):
    """A key of ``tls_server_config`` cannot be used. The message has the key and the remedy."""


def files(tls: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Return the paths in `cert_file`, `key_file` and `client_ca_file`; relative ones begin at ``folder``."""
    keys = ("cert_file", "key_file", "client_ca_file")
    return {key: os.path.join(folder, str(tls[key])) for key in keys if tls.get(key)}  # noqa: PTH118 -- paths are texts here


def context(tls: Mapping[str, Any], folder: str) -> ssl.SSLContext:
    """Return the TLS context for the values of the section; raises `TlsError` for an invalid value."""
    for key in ("cert", "key", "client_ca"):
        if tls.get(key) and tls.get(f"{key}_file"):
            raise TlsError(f"{key} cannot be combined with {key}_file; remove one of them")
        if key != "client_ca" and not tls.get(key) and not tls.get(f"{key}_file"):
            raise TlsError(f"{key}_file: missing; give the path of a PEM file")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _suites(made, tls)
    if not tls.get("prefer_server_cipher_suites", True):
        made.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if curves := tls.get("curve_preferences"):
        if unknown := [curve for curve in curves if curve not in CURVES]:
            raise TlsError(f"curve_preferences: unknown curve {unknown[0]}; choose from {', '.join(CURVES)}")
        _try("curve_preferences", f"write one, for example {curves[0]}", lambda: set_groups(made, curves))
    named = files(tls, folder)
    with _as_file("cert", tls, named) as cert, _as_file("key", tls, named) as key:
        what = " and ".join(f"{name}_file" if f"{name}_file" in named else name for name in ("cert", "key"))
        if named:
            what += f" ({', '.join(str(tls[key]) for key in named if key != 'client_ca_file')})"
        _try(what, "give a certificate and its key, as PEM", lambda: made.load_cert_chain(cert, key, no_pass_phrase))
    _clients(made, tls, named.get("client_ca_file"))
    return made


def allowed_names(tls: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of which a client certificate must hold at least one; None if any certificate is allowed."""
    names = tls.get("client_allowed_sans")
    return None if names is None else frozenset(names)


def _suites(made: ssl.SSLContext, tls: Mapping[str, Any]) -> None:
    """Set the versions and the suites of TLS 1.2. A list without any of them leaves TLS 1.3 only, as in Go."""
    listed = tls.get("cipher_suites") or []
    if unknown := [suite for suite in listed if suite not in _SUITES and suite not in _ALWAYS]:
        raise TlsError(
            f"cipher_suites: {unknown[0]} is not supported; write for example TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
            "or remove the list"
        )
    names = [_SUITES[suite] for suite in listed if suite in _SUITES]
    made.minimum_version = _version("min_version", tls, "TLS12")
    made.maximum_version = _version("max_version", tls, "TLS13")
    if made.minimum_version > made.maximum_version:
        raise TlsError("min_version is above max_version; swap them")
    if listed and not names:
        if made.maximum_version == ssl.TLSVersion.TLSv1_2:
            raise TlsError("cipher_suites holds no suite of TLS 1.2, but max_version is TLS12; add one")
        made.minimum_version = ssl.TLSVersion.TLSv1_3
    if names:
        _try("cipher_suites", "remove the list", lambda: made.set_ciphers(":".join(names)))
        offered = {suite["name"] for suite in made.get_ciphers()}
        if missing := [suite for suite in listed if suite in _SUITES and _SUITES[suite] not in offered]:
            raise TlsError(f"cipher_suites: OpenSSL does not offer {missing[0]} here; remove it")


def _clients(made: ssl.SSLContext, tls: Mapping[str, Any], authority: str | None) -> None:
    inside = str(tls.get("client_ca") or "")
    kind = str(tls.get("client_auth_type") or "")
    if not kind:
        kind = "RequireAndVerifyClientCert" if authority or inside else "NoClientCert"
    if kind in _UNVERIFIED:
        raise TlsError(
            f"client_auth_type: {kind} is not supported, because an unverified certificate protects nothing; "
            "write RequireAndVerifyClientCert, and give the path of the clients' CA in client_ca_file"
        )
    if kind not in _CLIENT:
        raise TlsError(f"client_auth_type: unknown value {kind}; write one of {', '.join(_CLIENT)}")
    given = "client_ca_file" if authority else "client_ca"
    if kind == "NoClientCert" and (authority or inside):
        raise TlsError(f"client_auth_type: NoClientCert cannot be combined with {given}; remove one of them")
    if kind == "RequestClientCert" and (authority or inside):
        raise TlsError(
            f"client_auth_type: RequestClientCert verifies no certificate, so {given} has no effect; "
            f"write RequireAndVerifyClientCert, or remove {given}"
        )
    made.verify_mode = _CLIENT[kind]
    if made.verify_mode == ssl.CERT_NONE:
        if allowed_names(tls) is not None:
            raise TlsError(
                f"client_allowed_sans has no effect with {kind}; set client_auth_type to RequireAndVerifyClientCert"
            )
        return
    if authority:
        _try(
            f"client_ca_file ({tls['client_ca_file']})",
            "give the path of a PEM file",
            lambda: made.load_verify_locations(authority),
        )
    elif inside:
        _try("client_ca", "write certificates as PEM", lambda: made.load_verify_locations(cadata=inside))
    else:
        raise TlsError(f"client_auth_type: {kind} needs client_ca_file; give the path of a PEM file")


@contextmanager
def _as_file(key: str, tls: Mapping[str, Any], named: Mapping[str, str]) -> Iterator[str]:
    """Yield the path of the named file, or of a file in memory with the inline text: `ssl` reads files only."""
    if f"{key}_file" in named:
        yield named[f"{key}_file"]
        return
    if not hasattr(os, "memfd_create"):
        raise TlsError(f"{key} is supported on Linux only; write its value to a file, and give the path in {key}_file")
    descriptor = os.memfd_create(key)
    try:
        os.write(descriptor, str(tls[key]).encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _version(key: str, tls: Mapping[str, Any], default: str) -> ssl.TLSVersion:
    version = str(tls.get(key) or default)
    if version not in _VERSIONS:
        raise TlsError(f"{key}: unknown version {version}; write one of {', '.join(_VERSIONS)}")
    return _VERSIONS[version]


def _try(what: str, remedy: str, act: Callable[[], object]) -> None:
    """Call `act`; turn its errors into `TlsError`."""
    try:
        act()
    except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError, whose strerror is its own
        raise TlsError(f"{what}: {getattr(error, 'strerror', None) or error}; {remedy}") from None
