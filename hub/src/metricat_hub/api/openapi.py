"""Builds the OpenAPI 3.1 document from the declared operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from metricat_hub import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.api.operations import Operation, Parameter

_REFERENCE = "#/components/schemas/{name}"
_DESCRIPTIONS = {
    400: "The request is invalid. The member `detail` contains the cause and the remedy.",
    401: "The request has no valid API key, access token or password.",
    403: "The client may not use the operation, for example because it lacks the scope.",
    404: "The resource or the metric does not exist.",
    409: "The change conflicts with the stored state, or this hub does not support it.",
    412: "Another client has changed the resource since the client read it.",
    413: "The body is too large.",
    415: "The content type or content encoding of the body is not supported.",
    422: "The query exceeds a limit, or uses a feature that the hub does not support.",
    428: "The change needs the header If-Match.",
    429: "The client is above its rate limit. Retry after the number of seconds in Retry-After.",
    503: "The hub cannot serve the request now. Retry after the number of seconds in Retry-After.",
}
_OF_ALL = (401, 403, 413, 429)
"""Status codes that every operation with authentication can return."""
_INTEGER = {"schema": {"type": "integer", "minimum": 0}}
_RETRY: Mapping[str, Any] = {"Retry-After": {"description": "Seconds to wait before the next request.", **_INTEGER}}
_HEADERS: Mapping[str, Any] = {
    "RateLimit-Limit": {"description": "The maximum number of requests in a window.", **_INTEGER},
    "RateLimit-Remaining": {"description": "Requests that the client can still send in the window.", **_INTEGER},
    "RateLimit-Reset": {"description": "Seconds until the current window ends.", **_INTEGER},
    "X-Request-ID": {
        "description": "ID of the request: the header X-Request-ID of the request, or a random ID.",
        "schema": {"type": "string"},
    },
}
PROBLEM: Mapping[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "The cause of the error, and the remedy."},
        "instance": {"type": "string", "format": "uri-reference"},
    },
    "required": ["title", "status", "detail"],
}
PROMETHEUS: Mapping[str, Any] = {
    "type": "object",
    "description": "A response in Prometheus' format. It has `data` if `status` is success, otherwise `error`.",
    "properties": {
        "status": {"enum": ["success", "error"]},
        "data": {},
        "errorType": {"type": "string"},
        "error": {"type": "string"},
        "warnings": {"type": "array", "items": {"type": "string"}},
        "infos": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["status"],
}


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of operations."""
    structs = [struct for one in operations for struct in (one.result, one.request) if struct is not None]
    _, components = msgspec.json.schema_components(structs, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        for method in operation.methods:
            paths.setdefault(operation.path, {})[method.lower()] = _operation(operation, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Metricat hub",
            "version": __version__,
            "description": "Metrics of machines: Prometheus' HTTP API, and a REST API with plain names and units.",
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM, "Prometheus": PROMETHEUS},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key or an access token.",
                }
            },
        },
    }


def _operation(operation: Operation, method: str) -> dict[str, Any]:
    is_prometheus = operation.tag == "Prometheus"
    content = _content(operation, is_prometheus=is_prometheus)
    found: dict[str, Any] = {
        "operationId": operation.name if method == operation.methods[0] else f"{operation.name}_{method.lower()}",
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [_parameter(one) for one in operation.parameters if not (operation.body and method == "POST")],
        "responses": {str(operation.success): {"description": "Success.", "headers": _HEADERS, "content": content}},
    }
    _add_alternative(operation, found["responses"])
    if operation.success == 204:
        del found["responses"]["204"]["content"]
    if operation.description:
        found["description"] = operation.description
    if operation.body and method == "POST":
        found["requestBody"] = _body(operation)
    if operation.bodies:
        content = {media: {"schema": schema} for media, schema in operation.bodies.items()}
        found["requestBody"] = {"required": True, "content": content}
    if operation.request is not None:
        reference = {"$ref": _REFERENCE.format(name=operation.request.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    if operation.scope is None:
        found["security"] = []
    for status in sorted({*operation.errors, *(_OF_ALL if operation.scope else ())}):
        found["responses"][str(status)] = {
            "description": _DESCRIPTIONS.get(status, "An error of the request."),
            "content": {media: {"schema": schema} for media, schema in _errors(operation, status).items()},
        }
        if status in (429, 503):
            found["responses"][str(status)]["headers"] = _RETRY
    return found


def _add_alternative(operation: Operation, responses: dict[str, Any]) -> None:
    """Add the other successful response of an operation to its responses."""
    if operation.alternative is None:
        return
    status, struct = operation.alternative
    other = responses.setdefault(str(status), {"description": "Success.", "headers": _HEADERS})
    if struct is None:
        return
    reference = {"$ref": _REFERENCE.format(name=struct.__name__)}
    content = other.setdefault("content", {operation.media: {"schema": reference}})[operation.media]
    if content["schema"] != reference:
        content["schema"] = {"anyOf": [content["schema"], reference]}


def _errors(operation: Operation, status: int) -> Mapping[str, Any]:
    """Return the schemas of an error by media type."""
    problem = {"application/problem+json": {"$ref": _REFERENCE.format(name="Problem")}}
    if status in (401, 403, 429):
        return problem
    if operation.error_bodies:
        return {**operation.error_bodies, **(problem if status == 413 else {})}
    if operation.tag == "Prometheus":
        own = {"application/json": {"$ref": _REFERENCE.format(name="Prometheus")}}
        return {**own, **(problem if status == 413 else {})}
    return problem


def _content(operation: Operation, *, is_prometheus: bool) -> dict[str, Any]:
    found = {media: {"schema": schema} for media, schema in operation.result_bodies.items()}
    if operation.result is not None:
        found[operation.media] = {"schema": {"$ref": _REFERENCE.format(name=operation.result.__name__)}}
    if found:
        return found
    if is_prometheus:
        return {"application/json": {"schema": {"$ref": _REFERENCE.format(name="Prometheus")}}}
    return {operation.media: {"schema": {"type": "string"} if operation.media.startswith("text/") else {}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: Mapping[str, Any] = parameter.schema
    if parameter.many:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "description": parameter.description,
        "schema": schema,
    }


def _body(operation: Operation) -> dict[str, Any]:
    properties = {
        one.name: {"type": "array", "items": one.schema} if one.many else {**one.schema, "description": one.description}
        for one in operation.parameters
    }
    required = [one.name for one in operation.parameters if one.required]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return {"required": bool(required), "content": {operation.body: {"schema": schema}}}
