"""Options that several commands have, as types of Typer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from metricat_cli import arguments
from metricat_cli.cluster.api_server import connect
from metricat_cli.errors import ArgumentError
from metricat_operator import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_cli.cluster import ApiServer
    from metricat_cli.prometheus import PrometheusClient

Kubeconfig = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="kubeconfig file (default: as for kubectl)")
]
Context = Annotated[str, typer.Option("--context", metavar="NAME", help="context of the kubeconfig (default: current)")]
As = Annotated[str, typer.Option("--as", metavar="USER", help="user to impersonate")]
Namespace = Annotated[
    str, typer.Option("-n", "--namespace", metavar="NAME", help="namespace (default: that of the context)")
]
AnyNamespace = Annotated[str, typer.Option("-n", "--namespace", metavar="NAME", help="namespace (default: all)")]
NamespaceOfName = Annotated[
    str,
    typer.Option(
        "-n", "--namespace", metavar="NAME", help="namespace (default: all; with a name, that of the context)"
    ),
]
AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="all namespaces")]
Prometheus = Annotated[
    str,
    typer.Option(
        "--prometheus", metavar="URL", help="URL of Prometheus (default: the one of the target, through the API server)"
    ),
]
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="'NAME: VALUE'",
        help="HTTP header of every request to --prometheus; may be given several times. For secrets, use "
        "--http.config.file: other users of the machine can read the arguments of a command",
    ),
]
HttpConfigFile = Annotated[
    str,
    typer.Option(
        "--http.config.file",
        metavar="FILE",
        help="HTTP client configuration for --prometheus, as for promtool: password, token, TLS",
    ),
]


_OPENED: list[ApiServer] = []


def cluster(kubeconfig: str, context: str, impersonate: str, *, seconds: float = 30.0) -> ApiServer:
    """Return the API server that the options of the command line select. `close_connections` closes its connections.

    `seconds` is the time limit of each response.
    """
    _OPENED.append(connect(kubeconfig, context, impersonate, seconds))
    return _OPENED[-1]


def close_connections() -> None:
    """Close all connections that `cluster` opened."""
    while _OPENED:
        _OPENED.pop().close()


def prometheus_client(url: str, headers: Sequence[str] | None, file: str) -> PrometheusClient | None:
    """Return the client for `--prometheus` with the given login; None without the option.

    Raises:
        CommandError: the login is not valid, or is given without `--prometheus`.
    """
    if not url and (headers or file):
        option = "--http.config.file" if file else "--header"
        raise ArgumentError(f"{option} needs --prometheus: the API server does not forward a login. Set its URL")
    if not url:
        return None
    from metricat_cli import http_config  # noqa: PLC0415 -- YAML and TLS, only with --prometheus
    from metricat_cli.prometheus import PrometheusClient  # noqa: PLC0415 -- as above

    base = arguments.url(url)
    config = http_config.read(file) if file else http_config.HttpConfig()
    found = dict(config.headers)
    for name, value in map(arguments.header, headers or ()):
        if name.lower() in map(str.lower, found):
            raise ArgumentError(f"--header: {name.lower()} is given twice. Remove one of them")
        found[name] = value
    return PrometheusClient(base, found, config.tls)


def scope(api: ApiServer, namespace: str, *, everywhere: bool) -> str:
    """Return the namespace that the options select, by default that of the kubeconfig's context; empty: all namespaces.

    Raises:
        ArgumentError: both options are set, or the name of the namespace is invalid.
    """
    if everywhere and namespace:
        raise ArgumentError("--namespace and --all-namespaces conflict. Use one of them")
    if namespace:
        object_name("--namespace", namespace)
    if everywhere:
        return ""
    return namespace or api.credentials.namespace


def object_name(what: str, value: str) -> str:
    """Return the value if it can be the name of a Kubernetes object."""
    if naming.is_object_name(value):
        return value
    space, slash, name = value.partition("/")
    if slash and what == "NAME" and naming.is_object_name(space) and naming.is_object_name(name):
        raise ArgumentError(f"invalid NAME {value!r}; write {name} -n {space}")
    raise ArgumentError(f"invalid {what} {value!r}; use lowercase letters, digits, hyphens and dots")


def one_of(option: str, value: str, *choices: str) -> str:
    """Return the value of an option; raise `ArgumentError` if it is not one of the choices."""
    if value not in choices:
        raise ArgumentError(f"invalid {option} {value!r}; use {', '.join(choices[:-1])} or {choices[-1]}")
    return value


def watch(render: Callable[[], str], seconds: float) -> None:
    """Print the text of `render` every `seconds` until Ctrl-C: on a terminal in place, otherwise only if it changes."""
    from rich.console import Console  # noqa: PLC0415 -- 0.1 s, only with --watch
    from rich.live import Live  # noqa: PLC0415 -- as above
    from rich.text import Text  # noqa: PLC0415 -- as above

    console = Console(soft_wrap=True)
    if not console.is_terminal:
        last = ""
        while True:
            if (text := render()) != last:
                typer.echo(text)
            last = text
            time.sleep(seconds)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            lines = list(Text.from_ansi(render()).wrap(console, console.width))
            if len(lines) > console.height:  # the screen does not scroll
                hidden = f"... {len(lines) - console.height + 1} more lines; run the command without --watch"
                lines[console.height - 1 :] = [Text(hidden[: console.width])]
            live.update(Text("\n").join(lines), refresh=True)
            time.sleep(seconds)
