"""Targets of the collector `probe`: endpoints that every agent probes.

The agent must accept every target that is valid here: it does not start with a target that it rejects. A contract test
compares both checks.
"""

import re
from ipaddress import IPv6Address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StringConstraints, model_validator

from metricat_operator.api.fields import OBJECT_NAME, PORT, Model, cel, key_rule, keys, regex, rule
from metricat_operator.naming import MAX_NAME

_HOST = r"([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9a-fA-F:.]{2,45}\])"
_DNS_NAME = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?){0,7}\.?"
_TYPES = "A|AAAA|CNAME|MX|NS|PTR|SOA|SRV|TXT"
URL_PATTERN = (
    rf"^(https?://{_HOST}({PORT})?([/?][!$%&'()*+,./0-9:;=?@A-Z_a-z~-]*)?"
    rf"|(tcp|tls)://{_HOST}{PORT}"
    rf"|dns://{_HOST}({PORT})?/{_DNS_NAME}(\?type=({_TYPES}))?"
    rf"|icmp://{_HOST})$"
)
RESERVED_NAME = "kubernetes-api"
"""The name of the target that `kubernetesAPI` adds."""
HEADER = r"^[!#$%&*+.^_`|~0-9A-Za-z-]+$"
_TIMEOUT, _INTERVAL = 5, 15
"""The agent's defaults, in seconds."""
_TOO_LONG = (
    "timeoutSeconds must not be longer than intervalSeconds (default 15). Shorten it or lengthen intervalSeconds."
)
_OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection")
_OWN = f"the probe sets the headers {', '.join(_OWN_HEADERS)} itself. Remove them."
_ONLY_HTTP = (
    "method, headers, token, validStatusCodes, bodyPattern and followRedirects need an http or https URL. "
    "Change the URL or remove them."
)
_ONLY_TLS = "serverName, ca and insecureSkipVerify need an https or tls URL. Change the URL or remove them."


def _body_pattern(value: str) -> str:
    return regex(value, of_bytes=True)


def _url(value: str) -> str:
    if found := re.search(r"//\[([^]]*)\]", value):
        try:
            IPv6Address(found[1])
        except ValueError as error:
            raise ValueError(f"{value!r} has no valid IPv6 address: {error}. Correct the address.") from None
    return value


def _not_own(headers: dict[str, str]) -> dict[str, str]:
    if any(name.lower() in _OWN_HEADERS for name in headers):
        raise ValueError(_OWN)
    return headers


_HTTP_FIELDS = ("method", "headers", "token", "validStatusCodes", "bodyPattern", "followRedirects")
_TLS_FIELDS = ("serverName", "ca", "insecureSkipVerify")


_MAY_BE_EMPTY = ("headers", "validStatusCodes")


def _none_given(fields: tuple[str, ...]) -> str:
    given = (f"has(self.{one}){f' && size(self.{one}) > 0' if one in _MAY_BE_EMPTY else ''}" for one in fields)
    return "!(" + " || ".join(given) + ")"


class MountedKey(Model):
    """A value in a Secret of the target's namespace, which the agents' pods mount. The operator never reads it."""

    name: str = Field(pattern=OBJECT_NAME, max_length=MAX_NAME, description="The name of the Secret.")
    key: str = Field(
        pattern=r"^[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", max_length=253, description="The key in the Secret's data."
    )


class ProbeTarget(Model):
    """An endpoint to probe from every node."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$",
        max_length=63,
        description="Name of the target, the label probe of its metrics.",
        json_schema_extra=cel(
            rule(
                f"self != '{RESERVED_NAME}'",
                f"{RESERVED_NAME} is reserved for the target of kubernetesAPI. Choose another name.",
            )
        ),
    )
    url: Annotated[str, AfterValidator(_url)] = Field(
        pattern=URL_PATTERN,
        max_length=1024,
        description="The endpoint: http://, https://, tcp://HOST:PORT, tls://HOST:PORT, dns://SERVER/NAME?type=A or "
        "icmp://HOST.",
    )
    interval_seconds: StrictInt | None = Field(
        default=None, ge=1, le=86_400, description="Seconds between two probes. Default: 15."
    )
    timeout_seconds: StrictInt | None = Field(
        default=None, ge=1, le=60, description="Seconds after which a probe fails. Default: 5."
    )
    ip_protocol: Literal["4", "6"] | None = Field(
        default=None, description="IP version to use. Default: that of the host's first address."
    )
    method: str | None = Field(
        default=None, pattern="^[A-Z]{3,16}$", max_length=16, description="HTTP method. Default: GET."
    )
    headers: Annotated[
        dict[str, Annotated[str, StringConstraints(pattern=r"^[ -~]*$", max_length=1024)]],
        keys(HEADER, "name of a header"),
        AfterValidator(_not_own),
    ] = Field(
        default={},
        max_length=16,
        description="Headers to send. They must not contain secrets: anyone who can read the target can read them.",
        json_schema_extra=cel(
            key_rule(HEADER, "name of a header"),
            rule(f"!self.exists(key, key.lowerAscii() in {list(_OWN_HEADERS)})", _OWN),
        ),
    )
    token: MountedKey | None = Field(
        default=None,
        description="Bearer token to send. With an http URL, anyone on the network path can read it. After a change of "
        "the Secret, agents send the new value. Default: none.",
    )
    valid_status_codes: tuple[
        Annotated[str, StringConstraints(pattern=r"^[1-5](xx|[0-9][0-9])$", max_length=3)], ...
    ] = Field(
        default=(), max_length=20, description="Status codes that count as success, such as 2xx or 401. Default: 2xx."
    )
    body_pattern: Annotated[str, AfterValidator(_body_pattern)] | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        pattern=r"^[ -~]+$",
        description="Regular expression that the first 1 MiB of the body must match anywhere.",
        json_schema_extra=cel(rule("''.matches(self) ? true : true", "must be a regular expression")),
    )
    follow_redirects: StrictBool | None = Field(default=None, description="Whether to follow redirects. Default: true.")
    server_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$",
        max_length=253,
        description="Name that the certificate must contain. Default: the host of the URL.",
    )
    ca: MountedKey | None = Field(
        default=None, description="CA of the server's certificate, as PEM. Default: the public CAs."
    )
    insecure_skip_verify: StrictBool | None = Field(
        default=None, description="Whether to accept certificates that cannot be verified. Default: false."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check the same rules as the CRD; raise ValueError for an invalid combination."""
        if self.name == RESERVED_NAME:
            raise ValueError(f"{RESERVED_NAME} is reserved for the target of kubernetesAPI. Choose another name.")
        if (self.timeout_seconds or _TIMEOUT) > (self.interval_seconds or _INTERVAL):
            raise ValueError(_TOO_LONG)
        http = (
            self.method,
            self.headers,
            self.token,
            self.valid_status_codes,
            self.body_pattern,
            self.follow_redirects,
        )
        if not self.url.startswith("http") and any(value not in (None, {}, ()) for value in http):
            raise ValueError(_ONLY_HTTP)
        tls = (self.server_name, self.ca, self.insecure_skip_verify)
        if not self.url.startswith(("https:", "tls:")) and any(value is not None for value in tls):
            raise ValueError(_ONLY_TLS)
        return self

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"(has(self.timeoutSeconds) ? self.timeoutSeconds : {_TIMEOUT}) <= "
                f"(has(self.intervalSeconds) ? self.intervalSeconds : {_INTERVAL})",
                _TOO_LONG,
            ),
            rule(f"self.url.startsWith('http') || {_none_given(_HTTP_FIELDS)}", _ONLY_HTTP),
            rule(f"self.url.matches('^(https|tls):') || {_none_given(_TLS_FIELDS)}", _ONLY_TLS),
        )
    }
