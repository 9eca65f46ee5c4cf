"""TLS context from the section ``tls_server_config`` of a web config file."""

from __future__ import annotations

import os
import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from metricat_agent.web.access.rules import no_pass_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

KEYS = (
    *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file", "client_auth_type", "client_allowed_sans"),
    *("min_version", "max_version", "cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
)
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT = {
    "NoClientCert": ssl.CERT_NONE,
    "RequestClientCert": ssl.CERT_NONE,  # nothing uses the certificate, so the server does not request it
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED = ("RequireAnyClientCert", "RequireClientCert")
_SUITE = re.compile(
    r"TLS_(ECDHE_(?:RSA|ECDSA))_WITH_(?:AES_(128|256)_(GCM_SHA\d+|CBC_SHA)|CHACHA20_POLY1305(?:_SHA256)?)"
)
_ALWAYS = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
"""Suites of TLS 1.3. No list disables them, neither here nor in Go."""
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}


class TlsError(Exception):
    """A part of the section that cannot be used. The message holds its name and the remedy."""


def files(tls: Mapping[str, Any], folder: str) -> dict[str, str]:
    """Return the named files by key, relative to the folder of the web config file."""
    keys = ("cert_file", "key_file", "client_ca_file")
    return {key: os.path.join(folder, str(tls[key])) for key in keys if tls.get(key)}  # noqa: PTH118 -- paths are texts here


def context(tls: Mapping[str, Any], folder: str) -> ssl.SSLContext:
    """Return the context; raises `TlsError`."""
    for key in ("cert", "key"):
        if not tls.get(key) and not tls.get(f"{key}_file"):
            raise TlsError(f"{key}_file: missing; give the path of a PEM file")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = _version("min_version", tls, "TLS12")
    made.maximum_version = _version("max_version", tls, "TLS13")
    if made.minimum_version > made.maximum_version:
        raise TlsError("min_version is above max_version; swap them")
    if suites := [suite for suite in _texts("cipher_suites", tls) if suite not in _ALWAYS]:
        _try("cipher_suites", "remove the list", lambda: made.set_ciphers(":".join(map(_openssl_name, suites))))
    if curves := _texts("curve_preferences", tls):
        _try(
            "curve_preferences",
            f"write for example {next(iter(_CURVES))}",
            lambda: made.set_ecdh_curve(_CURVES.get(curves[0], curves[0])),
        )
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
    return frozenset(_texts("client_allowed_sans", tls)) if tls.get("client_allowed_sans") is not None else None


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
    if kind == "NoClientCert" and (authority or inside):
        raise TlsError("client_auth_type: NoClientCert cannot be combined with client_ca_file; remove one of them")
    made.verify_mode = _CLIENT[kind]
    if made.verify_mode == ssl.CERT_NONE:
        if allowed_names(tls) is not None:
            raise TlsError(f"client_allowed_sans has no effect with {kind}; write RequireAndVerifyClientCert")
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


def _texts(key: str, tls: Mapping[str, Any]) -> list[str]:
    given = tls.get(key) or []
    if not isinstance(given, list):
        raise TlsError(f"{key} is not a list; write [A, B]")
    return [str(one) for one in given]


def _openssl_name(suite: str) -> str:
    """Return OpenSSL's name of a TLS 1.2 suite, which is given by its name in the RFCs."""
    found = _SUITE.fullmatch(suite)
    if not found:
        raise TlsError(
            f"cipher_suites: {suite} is not supported; write for example TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
            "or remove the list"
        )
    exchange, bits, mode = found[1].replace("_", "-"), found[2], found[3]
    if bits is None:
        return f"{exchange}-CHACHA20-POLY1305"
    return f"{exchange}-AES{bits}-{'SHA' if mode == 'CBC_SHA' else mode.replace('_', '-')}"


def _try(what: str, remedy: str, act: Callable[[], object]) -> None:
    """Call `act`; turn its errors into `TlsError`."""
    try:
        act()
    except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError, whose strerror is its own
        raise TlsError(f"{what}: {getattr(error, 'strerror', None) or error}; {remedy}") from None
