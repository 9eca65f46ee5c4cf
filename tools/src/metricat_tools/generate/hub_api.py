"""Generate the reference page of the hub's HTTP API from its declared operations."""

from metricat_hub.api.application import DOCUMENTED
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.model.measures import MEASURES

_HEAD = """# The hub: HTTP API

<!-- Generated from hub/src/metricat_hub/api by `make generate`; do not edit. -->

Send an API key as `Authorization: Bearer KEY`, or as the password of a Basic login with any user name. Create a key
with `metricat hub keys create`. A key has one or more of the scopes `read` (default), `write` (send samples), `edit`
(change alert rules, silences, maintenance windows, acknowledgements and dead letters) and `admin`, which includes the
others. A running hub serves this reference at `/docs`, and as OpenAPI 3.1 at `/openapi.json`.

- Times in responses of the REST API are in UTC (RFC 3339). Parameters also accept seconds since 1970.
- Entries about metrics of a node have its name as `node` and as `hostname`.
- A response of an operation with the parameters `limit` and `cursor` has at most `limit` entries. To get the following
  entries, send the value of `next` as `cursor`.
- If a response has an `ETag`, a request with this ETag in `If-None-Match` gets 304 if nothing has changed.
- An error has the format of RFC 9457 (`application/problem+json`), and its `detail` contains the cause and the remedy.
  The operations of Prometheus' API have Prometheus' error format, types and status codes instead.
- [Operating the hub](../hub/operating.md) describes rate limits, the cache of responses, and logs.
- [Pushing samples](../hub/pushing.md) describes how programs send samples.
"""
_MEASURES = """
## Measures

A measure is a plain name of a common series. The parameter `metric` is a measure, or the name of a metric such as
`node_load1`. `/api/v1/metrics/measures` returns the PromQL expression of each measure.

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
