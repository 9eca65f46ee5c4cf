"""The settings of remote stores and outputs. Pure data."""

from __future__ import annotations

from metricat_agent.config.loader import Option

_ONLY = "used only with store.url=prometheus+http(s):"

STORE_SERVER = (
    Option(
        "store.write-url",
        "",
        f"remote-write URL to which the hub writes samples; empty: the hub only reads; {_ONLY}",
        "URL",
        secret=True,
    ),
    Option("store.token-file", "", f"file with the bearer token for the store; {_ONLY}", "FILE"),
    Option("store.username", "", f"user name for basic authentication; {_ONLY}", "NAME"),
    Option("store.password-file", "", f"file with the password; {_ONLY}", "FILE"),
    Option("store.tls-ca-file", "", f"file with CA certificates; default: those of the system; {_ONLY}", "FILE"),
    Option("store.tls-cert-file", "", f"file with the client certificate; {_ONLY}", "FILE"),
    Option("store.tls-key-file", "", f"file with the key of the client certificate; {_ONLY}", "FILE"),
    Option(
        "store.tls-server-name",
        "",
        f"server name to verify in the certificate, if it differs from the host; {_ONLY}",
        "NAME",
    ),
    Option(
        "store.tls-skip-verify", "false", f"accept any server certificate without verification; {_ONLY}", switch=True
    ),
    Option(
        "store.header",
        "",
        f"further header, for example 'X-Scope-OrgID: team-a'; repeat the flag for several headers; {_ONLY}",
        "NAME: VALUE",
        many=True,
        secret=True,
    ),
    Option("store.timeout", "30s", f"time limit of a request that is not a query; {_ONLY}", "DURATION"),
)
BUFFER = (
    Option(
        "store.buffer.max-size",
        "1GB",
        "limit of samples that wait on disk while a store other than embedded: is down; the oldest are dropped first",
        "SIZE",
    ),
    Option("store.buffer.max-age", "7d", "drop waiting samples that are older than this duration", "DURATION"),
)
OUTPUTS = (
    Option(
        "output.url",
        "",
        "also send all samples to remote-write+http(s)://HOST:PORT/PATH or influxdb+http(s)://HOST:PORT/write?db=NAME; "
        "repeat the flag for several outputs; the section `outputs` of the settings file offers more, such as "
        "credentials",
        "URL",
        many=True,
        secret=True,
    ),
)
