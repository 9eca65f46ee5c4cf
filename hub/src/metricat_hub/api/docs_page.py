"""The documentation of the API as one HTML page, without scripts and without external files."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; overflow-wrap: anywhere }
pre { background: #f4f4f4; padding: 0.7rem; overflow-x: auto }
h3 { border-top: 1px solid #ccc; padding-top: 1rem } h3 code { font-size: 1em }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: 0.2rem 0.6rem 0.2rem 0; vertical-align: top }
.scope { color: #555; font-size: 0.9em }
@media (prefers-color-scheme: dark) {
  body { background: #16181c; color: #e4e4e4 }
  pre { background: #23262c }
  .scope { color: #aaa }
  a { color: #8ab4f8 }
}
"""


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    return "".join(_parts(document))


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(info['title'])}: API</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}: API</h1><p>{escape(info['description'])}</p>"
    yield "<p>Send an API key with each request. <code>metricat hub keys create</code> creates one.</p>"
    yield "<pre>curl -H 'Authorization: Bearer KEY' http://127.0.0.1:8428/api/v1/metrics/current</pre>"
    yield '<p>The <a href="openapi.json">OpenAPI document</a> has the same content for programs.</p>'
    tags: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append((path, method, operation))
    for tag, operations in tags.items():
        yield f"<h2>{escape(tag)}</h2>"
        for path, method, operation in operations:
            yield from _operation(path, method, operation)
    yield "<h2>Schemas</h2>"
    for name, schema in document["components"]["schemas"].items():
        text = escape(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
        yield f'<h3 id="{escape(name)}"><code>{escape(name)}</code></h3><pre>{text}</pre>'
    yield "</body></html>"


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    needed = "no API key needed" if operation.get("security") == [] else "needs an API key"
    yield f'<h3 id="{escape(operation["operationId"])}"><code>{method.upper()} {escape(path)}</code></h3>'
    yield f'<p>{escape(operation["summary"])}. <span class="scope">{needed}</span></p>'
    if rows := "".join(map(_row, operation["parameters"])):
        yield f"<table><tr><th>parameter<th>type<th>meaning{rows}</table>"
    if body := operation.get("requestBody"):
        yield f"<p>Body: <code>{escape(', '.join(body['content']))}</code></p>"
    success = next(iter(operation["responses"].values()))  # the first response of an operation is the successful one
    for media, content in success.get("content", {}).items():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        link = f' with schema <a href="#{escape(name)}">{escape(name)}</a>' if name else ""
        yield f"<p>Returns <code>{escape(media)}</code>{link}.</p>"


def _row(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    kind = schema.get("type", "") or " | ".join(schema.get("enum", ()))
    if choices := schema.get("enum"):
        kind = " | ".join(choices)
    needed = " (required)" if parameter["required"] else ""
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code>{needed}<td>{escape(kind)}"
        f"<td>{escape(parameter['description'])}"
    )
