"""Generate the reference page of the hub's HTTP API from its declared operations."""

from metricat_hub.api.application import DOCUMENTED
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.model.measures import MEASURES

_HEAD = """# The hub: HTTP API

<!-- Generated from hub/src/metricat_hub/api by `make generate`; do not edit. -->

Send an API key as `Authorization: Bearer KEY`, or as the password of any user (Basic). `metricat hub keys create`
creates one. Its scopes are `read` (default), `write` (send samples), `edit` (change alert rules, silences and
acknowledgements) and `admin`, which includes the others. A running hub serves
this page at `/docs`, and for programs at `/openapi.json` (OpenAPI 3.1).

- Times in responses are UTC (RFC 3339). Parameters accept seconds since 1970 too.
- Each entry has the name of its node as `node` and as `hostname`.
- A list has at most `limit` entries. Give `next` as `cursor` to get the next page.
- Responses of the REST API have an `ETag`. A request with `If-None-Match` returns 304 if nothing changed.
- An error is a problem (RFC 9457, `application/problem+json`) whose `detail` has the cause and the remedy. The
  operations of Prometheus' API have Prometheus' error format, types and status codes instead.
- [Operating](../hub/operating.md) has the limits of requests, the cache of responses and the logs.
- [Pushing](../hub/pushing.md) has the senders of samples.
"""
_MEASURES = """
## Measures

`metric` is one of these names, or the name of a series such as `node_load1`. `/api/v1/metrics/measures` returns
their PromQL.

| name | unit | category |
| --- | --- | --- |
"""


def page() -> str:
    """Return the reference page of the HTTP API as Markdown."""
    parts = [_HEAD]
    for tag in dict.fromkeys(operation.tag for operation in DOCUMENTED):
        parts.append(f"\n## {tag}\n")
        parts += [_operation(operation) for operation in DOCUMENTED if operation.tag == tag]
    parts.append(_MEASURES)
    parts += [f"| `{one.name}` | {one.unit} | {one.category} |\n" for one in MEASURES]
    return "".join(parts)


def _operation(operation: Operation) -> str:
    scope = f"Scope: `{operation.scope}`." if operation.scope else "No key needed."
    if operation.scope == "any":
        scope = "Any key or session."
    lines = [f"\n### {', '.join(operation.methods)} {operation.path}\n\n{operation.summary}. {scope}\n"]
    if operation.description:
        lines.append(f"\n{operation.description}\n")
    if operation.parameters:
        lines.append("\n| parameter | meaning |\n| --- | --- |\n")
        lines += [_row(parameter) for parameter in operation.parameters]
    return "".join(lines)


def _row(parameter: Parameter) -> str:
    needed = " (required)" if parameter.required or parameter.where == "path" else ""
    choices = (
        f" One of {', '.join(f'`{one}`' for one in parameter.schema['enum'])}." if "enum" in parameter.schema else ""
    )
    return f"| `{parameter.name}`{needed} | {parameter.description}{choices} |\n"
