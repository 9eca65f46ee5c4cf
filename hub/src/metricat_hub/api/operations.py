"""Declarations of the operations of the HTTP API, from which the routes and the OpenAPI document are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from starlette.routing import Route

from metricat_hub.api.authorization import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.authorization import Needed
    from metricat_hub.api.rate_limits import Group

    Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

Schema: TypeAlias = "Mapping[str, Any]"
TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "examples": ["2026-01-31T12:00:00Z", "1769860800"]}
DURATION: Schema = {"type": "string", "examples": ["30s", "5m", "1h"]}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query, the path or a header."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: TEXT)
    required: bool = False
    where: Literal["query", "path", "header"] = "query"
    many: bool = False
    """Whether a request may repeat the parameter."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation: its path, scope, parameters and response."""

    path: str
    endpoint: Endpoint | None
    """The function that handles the operation; None: the operation is only in the document, named `identifier`."""
    summary: str
    tag: str
    scope: Needed | None = "read"
    """The scope that the client needs; `any`: any authenticated client; None: no authentication."""
    methods: Sequence[str] = ("GET",)
    parameters: Sequence[Parameter] = ()
    result: type | None = None
    """The msgspec struct of the response; None: another format."""
    media: str = "application/json"
    errors: Sequence[int] = (400,)
    group: Group = "api"
    """The rate limit that counts the requests."""
    request: type | None = None
    """The msgspec struct of a JSON body; None: the body has another format, or the request has no body."""
    body: str = ""
    """The media type of the request's body; empty: no body. A form has the parameters of the query."""
    bodies: Mapping[str, Schema] = field(default_factory=dict)
    """The schema of the request's body by its media type, for bodies that are not forms."""
    result_bodies: Mapping[str, Schema] = field(default_factory=dict)
    """The schema of the response by its media type, for a response in several formats, in addition to `result`."""
    success: int = 200
    """The status code of a successful response; with 204 it has no body."""
    alternative: tuple[int, type | None] | None = None
    """Status code and struct of a second successful response. A struct of None: without a body."""
    error_bodies: Mapping[str, Schema] = field(default_factory=dict)
    """The schema of error responses by its media type; empty: problem details."""
    description: str = ""
    identifier: str = ""
    """The identifier of the operation in the document; empty: the name of the endpoint's function."""

    @property
    def name(self) -> str:
        """The identifier of the operation in the document."""
        return self.identifier or getattr(self.endpoint, "__name__", self.path)

    @property
    def route(self) -> Route:
        """The route of the operation. It checks the scope before it calls the endpoint."""
        if self.endpoint is None:
            raise ValueError(f"{self.path} has no endpoint")
        endpoint = self.endpoint if self.scope is None else require(self.scope, self.group)(self.endpoint)
        return Route(self.path, endpoint, methods=list(self.methods), name=self.name)
