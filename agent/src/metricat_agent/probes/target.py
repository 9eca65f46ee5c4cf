"""Targets of probes, and their parser. Pure.

A target is a URL, or a JSON object with a name, a URL and settings. All scalars count as text, as in other settings.
"""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PORTS = {"http": 80, "https": 443, "tcp": 0, "tls": 0, "dns": 53, "icmp": 0}
"""Schemes of URLs, with their default port; 0: no default."""
RECORD_TYPES = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "MX": 15,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
    "CAA": 257,
}
"""Types of DNS records by name (https://www.iana.org/assignments/dns-parameters)."""
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(ms|s|m|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_STATUS = re.compile(r"([1-5])xx|([1-5][0-9][0-9])")
_BAD_TEXT = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint, the settings of its probes (times in seconds), and the criteria of success."""

    name: str
    url: str
    """The URL as written, without a password."""
    scheme: str
    host: str
    port: int
    path: str = "/"
    interval: float = 15.0
    timeout: float = 5.0
    ip_protocol: str = ""
    """``4`` or ``6`` to use only this version of IP; empty: the first address of the name."""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer_token_file: str = ""
    status_codes: frozenset[int] = frozenset(range(200, 300))
    body_pattern: re.Pattern[bytes] | None = None
    follow_redirects: bool = True
    ca_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    query_name: str = ""
    """The name that a DNS probe queries."""
    query_type: int = 1

    @property
    def uses_tls(self) -> bool:
        """Whether the probe begins with a TLS handshake."""
        return self.scheme in ("https", "tls")


def parse_lines(text: str) -> tuple[Target, ...]:
    """Return the targets of a text with one target a line; raise ValueError for an invalid one."""
    return _unique([_target(_decoded(line) if line.startswith("{") else line) for line in text.split("\n") if line])


def parse_document(text: str) -> tuple[Target, ...]:
    """Return the targets of a configuration file: JSON text of a list below the key ``targets``.

    Raises:
        ValueError: a target is not valid.
    """
    if not text:
        return ()
    content = _decoded(text)
    if not isinstance(content, dict) or set(content) != {"targets"} or not isinstance(content["targets"], list):
        raise ValueError("not a list of targets; write the key targets: with a list of URLs or mappings")
    return _unique([_target(one) for one in content["targets"]])


def _decoded(text: str) -> object:
    try:
        return json.loads(text, parse_int=str, parse_float=str, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error.msg}); write a URL, or for example {_EXAMPLE}") from None
    except RecursionError:
        raise ValueError(f"JSON nested too deeply; write a URL, or for example {_EXAMPLE}") from None


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)} is given twice; remove one")
    return found


_EXAMPLE = '{"name": "shop", "url": "https://shop.example/health"}'


def _unique(targets: Iterable[Target]) -> tuple[Target, ...]:
    found: dict[str, Target] = {}
    for target in targets:
        if target.name in found:
            raise ValueError(f"two targets have the name {target.name}; give each a different name")
        found[target.name] = target
    return tuple(found.values())


def _target(given: object) -> Target:
    if isinstance(given, str):
        given = {"url": given}
    if not isinstance(given, dict):
        raise ValueError(f"not a target; write a URL, or for example {_EXAMPLE}")  # noqa: TRY004 -- a wrong setting
    url = given.get("url")
    if not isinstance(url, str) or not url:
        raise ValueError("a target has no url; write for example https://shop.example/health")
    fields = _url_fields(url)
    name = str(given.get("name", "") or fields["url"])
    if "name" in given and not _NAME.fullmatch(name):
        raise ValueError(f"invalid name '{name}'; write up to 63 letters, digits, dots and dashes")
    where = f"target {name}"
    known = {**_COMMON, **(_TLS if fields["scheme"] in ("https", "tls") else {})}
    known |= _HTTP if str(fields["scheme"]).startswith("http") else {}
    for key, value in given.items():
        if key in ("name", "url"):
            continue
        if key not in known:
            raise ValueError(f"{where}: unknown key {key} for {fields['scheme']}; the keys are {', '.join(known)}")
        attribute, parse = known[key]
        try:
            fields[attribute] = parse(value)
        except ValueError as error:
            raise ValueError(f"{where}: {key}: {error}") from None
    target = Target(name=name, **fields)
    if target.timeout > target.interval:
        longer = f"timeout ({target.timeout:g} s) is longer than interval ({target.interval:g} s)"
        raise ValueError(f"{where}: {longer}; use a shorter timeout")
    return target


def _url_fields(url: str) -> dict[str, Any]:
    """Return the fields that a URL sets; raise ValueError if it is not valid."""
    wrong = f"invalid URL '{url}'"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{wrong} ({error}); write for example https://shop.example/health") from None
    if parts.scheme not in PORTS or not parts.hostname or _BAD_TEXT.search(url) or parts.fragment:
        raise ValueError(
            f"{wrong}; write http://, https://, tcp://HOST:PORT, tls://HOST:PORT, dns://SERVER/NAME or icmp://HOST"
        )
    if parts.username or parts.password:
        raise ValueError(
            f"the URL of the host {parts.hostname} contains a user name or password; remove it. The probes "
            "authenticate only with a Bearer token: set bearer_token_file"
        )
    if port is not None and parts.scheme == "icmp":
        raise ValueError(f"{wrong} has a port, and ICMP has none; write icmp://{_host(parts.hostname)}")
    if port is None and not PORTS[parts.scheme] and parts.scheme != "icmp":
        raise ValueError(f"{wrong} has no port; write {parts.scheme}://{_host(parts.hostname)}:PORT")
    fields = {
        "url": url,
        "scheme": parts.scheme,
        "host": parts.hostname,
        "port": port or PORTS[parts.scheme],
    }
    if parts.scheme == "dns":
        return {**fields, **_query_fields(wrong, parts.path, parts.query)}
    if not parts.scheme.startswith("http") and (parts.path.strip("/") or parts.query):
        raise ValueError(f"{wrong} has a path; write only {parts.scheme}://{parts.netloc}")
    path = parts.path or "/"
    return {**fields, "path": f"{path}?{parts.query}" if parts.query else path}


def _host(name: str) -> str:
    """Return a host name or an address as in a URL."""
    return f"[{name}]" if ":" in name else name


def _query_fields(wrong: str, path: str, query: str) -> dict[str, Any]:
    name = unquote(path.strip("/")).rstrip(".")
    labels = name.split(".")
    if not name or len(name) > 253 or not all(0 < len(label.encode()) < 64 for label in labels):
        raise ValueError(f"{wrong} has no name to query; write for example dns://10.96.0.10/kubernetes.default.svc")
    given = parse_qs(query, keep_blank_values=True)
    kind = given.pop("type", ["A"])[-1].upper()
    if given or kind not in RECORD_TYPES:
        raise ValueError(f"{wrong}: write ?type= with one of {', '.join(RECORD_TYPES)}")
    return {"query_name": name, "query_type": RECORD_TYPES[kind]}


def _seconds(least: float, most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        found = _DURATION.fullmatch(value) if isinstance(value, str) else None
        seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else -1
        if not least <= seconds <= most:
            raise ValueError(f"not a duration from {least:g}s to {most:g}s; write for example 15s")
        return seconds

    return parse


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("not a text; write one line")
    return value


def _switch(value: object) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError("not a boolean; write true or false")


def _protocol(value: object) -> str:
    if value not in ("4", "6"):
        raise ValueError("not an IP version; write 4 or 6")
    return str(value)


def _method(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[A-Z]{3,16}", value):
        raise ValueError("not an HTTP method; write for example GET or HEAD")
    return value


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError('not a mapping; write for example {"Accept": "text/plain"}')  # noqa: TRY004 -- as above
    for name, text in value.items():
        if not _TOKEN.fullmatch(name) or not isinstance(text, str) or not text.isprintable() or not text.isascii():
            raise ValueError(f"invalid header {name}; write NAME: TEXT in ASCII")
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise ValueError(f"the probe sets the header {name} itself; remove it")
    return dict(value)


def _status_codes(value: object) -> frozenset[int]:
    found: set[int] = set()
    for text in value if isinstance(value, list) else [value]:
        match = _STATUS.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise ValueError("not a list of status codes; write for example [2xx, 401]")
        first = int(match[1]) * 100 if match[1] else int(match[2])
        found.update(range(first, first + (100 if match[1] else 1)))
    if not found:
        raise ValueError("not a list of status codes; write for example [2xx, 401]")
    return frozenset(found)


def _body_pattern(value: object) -> re.Pattern[bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # Go supports [[:alpha:]]; here it means something different
            return re.compile(_text(value).encode())
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression ({error}); write for example ^ok") from None


Parsers = dict[str, tuple[str, "Callable[[object], object]"]]
"""By key: the field of `Target`, and the parser of the value."""
_COMMON: Parsers = {
    "interval": ("interval", _seconds(1, 86_400)),
    "timeout": ("timeout", _seconds(0.1, 60)),
    "ip_protocol": ("ip_protocol", _protocol),
}
_TLS: Parsers = {
    "ca_file": ("ca_file", _text),
    "server_name": ("server_name", _text),
    "insecure_skip_verify": ("insecure_skip_verify", _switch),
}
_HTTP: Parsers = {
    "method": ("method", _method),
    "headers": ("headers", _headers),
    "bearer_token_file": ("bearer_token_file", _text),
    "valid_status_codes": ("status_codes", _status_codes),
    "body_pattern": ("body_pattern", _body_pattern),
    "follow_redirects": ("follow_redirects", _switch),
}
