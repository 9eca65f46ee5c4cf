"""The HTTP client configuration file of promtool (`--http.config.file`): credentials and TLS for a Prometheus."""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from metricat_cli import files
from metricat_cli.errors import CommandError

_BASIC = ("username", "username_file", "password", "password_file")
_AUTHORIZATION = ("type", "credentials", "credentials_file")
_TLS = ("ca", "ca_file", "cert_file", "key_file", "insecure_skip_verify")
_HEADER = ("values", "secrets", "files")
_FIELDS = ("basic_auth", "authorization", "http_headers", "tls_config")


@dataclass(frozen=True)
class HttpConfig:
    """The headers of each request, and the TLS settings; None for the defaults."""

    headers: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext | None = None


def read(file: str) -> HttpConfig:
    """Return the settings of a file in the format of prometheus.io/docs/prometheus/latest/configuration/promtool.

    Relative paths in the file are relative to its folder.

    Raises:
        CommandError: a file is not readable, a value has a wrong form, or a field is not supported.
    """
    values = _Values(file, "", files.mapping(file), _FIELDS)
    headers = {}
    basic, authorization = values.part("basic_auth", _BASIC), values.part("authorization", _AUTHORIZATION)
    if basic and authorization:
        values.fail("basic_auth and authorization conflict. Set one of them")
    if basic:
        login = f"{basic.text('username', required=True)}:{basic.text('password')}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    if authorization:
        kind = authorization.text("type", files=False) or "Bearer"
        if kind.lower() == "basic":
            values.fail("authorization.type is Basic. Use basic_auth")
        headers["Authorization"] = f"{kind} {authorization.text('credentials', required=True)}"
    headers |= _headers(values)
    for name, value in headers.items():
        if not f"{name}{value}".isprintable() or not value.isascii():
            values.fail(f"the header {name} has a line break or a character that is not ASCII. Remove the character")
    return HttpConfig(headers, _tls(values.part("tls_config", _TLS)))


class _Values:
    """The fields of one part of the file."""

    def __init__(self, file: str, path: str, values: Any, known: tuple[str, ...] = ()) -> None:
        """`known` are the possible fields; empty: any field."""
        self._file = file
        self._path = path
        if not isinstance(values, dict):
            self.fail(f"{path.removesuffix('.')} is not a map. Write its fields below it")
        self._values = values
        if known and (unknown := [str(name) for name in values if name not in known]):
            self.fail(f"the field {path}{unknown[0]} is not supported. Use {', '.join(known)}")

    def fail(self, text: str) -> NoReturn:
        """Raise the error with the name of the file."""
        raise CommandError(f"{self._file}: {text}")

    def part(self, name: str, known: tuple[str, ...] = ()) -> "_Values | None":
        """Return a part with these fields; None if the file does not set it."""
        value = self._values.get(name)
        return None if value is None else _Values(self._file, f"{self._path}{name}.", value, known)

    def names(self) -> list[str]:
        """Return the names of the fields."""
        return list(map(str, self._values))

    def text(self, name: str, *, files: bool = True, required: bool = False) -> str:
        """Return the value of a field, or the content of the file that the field with the suffix `_file` names."""
        value, path = self._values.get(name), self.file(f"{name}_file") if files else None
        if value is not None and path:
            self.fail(f"{self._path}{name} and {name}_file conflict. Set one of them")
        if path:
            value = self.content(path)
        if value is not None and not isinstance(value, str):
            self.fail(f"{self._path}{name} is not a string. Write the value in quotes")
        if required and not value:
            self.fail(f"{self._path}{name} is missing. Set {name}{f' or {name}_file' if files else ''}")
        return value or ""

    def texts(self, name: str) -> list[str]:
        """Return the strings of a list."""
        value = self._values.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self.fail(f"{self._path}{name} is not a list of strings. Write for example {name}: ['...']")
        return value

    def flag(self, name: str) -> bool:
        """Return a value that is true or false."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self.fail(f"{self._path}{name}: invalid value {value!r}; use true or false")
        return value

    def file(self, name: str) -> Path | None:
        """Return the path in a field; None if it is not set."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, str):
            self.fail(f"{self._path}{name} is not a string. Write the path of a file")
        return self.path(value) if value else None

    def path(self, text: str) -> Path:
        """Return a path that is relative to the folder of the configuration file."""
        return Path(self._file).parent / text

    def content(self, path: Path) -> str:
        """Return the content of a file without white space at its ends."""
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is not text in UTF-8"
            self.fail(f"cannot read {path}: {why}. Correct the path")


def _headers(values: _Values) -> dict[str, str]:
    """Return the headers in `http_headers`. Several values of a header are joined, as RFC 9110 permits."""
    found = {}
    given = values.part("http_headers")
    for name in given.names() if given else ():
        if name.lower() == "authorization":
            values.fail("http_headers contains Authorization. Use basic_auth or authorization")
        if given and (part := given.part(name, _HEADER)):
            contents = [part.content(part.path(one)) for one in part.texts("files")]
            found[name] = ", ".join([*part.texts("values"), *part.texts("secrets"), *contents])
    return found


def _tls(values: _Values | None) -> ssl.SSLContext | None:
    if values is None:
        return None
    authority, certificate, key = values.text("ca"), values.file("cert_file"), values.file("key_file")
    if bool(certificate) != bool(key):
        values.fail("tls_config has only one of cert_file and key_file. Set both")
    try:
        context = ssl.create_default_context(cadata=authority or None)
        if certificate:
            context.load_cert_chain(certificate, key)
    except (ssl.SSLError, ValueError):
        values.fail("tls_config: the CA or the certificate is not PEM, or the key is another one's. Correct the files")
    except OSError as error:
        values.fail(f"tls_config: cannot read {certificate} or {key}: {error.strerror}. Correct the paths")
    if values.flag("insecure_skip_verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- a setting of the user's file
    return context
