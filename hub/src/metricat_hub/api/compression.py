"""Compression of responses: zstd or gzip, as the client accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from anyio import to_thread

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Coding: TypeAlias = Literal["zstd", "gzip", ""]
LEAST: Final = 1_024
"""Smaller bodies, in bytes, are not compressed."""
_IN_THREAD: Final = 64 << 10
"""Bodies from this number of bytes are compressed in a thread, so that other requests do not wait."""
_LEVEL: Final = 1
"""The level of compression. Higher levels take several times as long, and do not make samples smaller."""
_MEDIA: Final = (b"application/json", b"application/problem+json", b"text/")
_SECRET_PATHS: Final = frozenset({"sessions", "keys", "users", "setup", "oidc", "me", "live"})
"""Paths, after /api/v1/, whose responses contain secrets and are never compressed. If a response also contains text of
an attacker, its compressed size reveals the secrets."""


def accepted(scope: Scope) -> frozenset[str]:
    """Return the supported content codings that the client accepts."""
    found: dict[str, bool] = {}
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            for part in value.decode("latin-1").lower().split(","):
                coding, _, weight = part.partition(";")
                found[coding.strip()] = weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    if found.get("*"):
        found = {"gzip": True, **found}
    return frozenset(coding for coding in ("zstd", "gzip") if found.get(coding))


def compressed(body: bytes, coding: str) -> bytes:
    """Compress a body. It blocks."""
    import cramjam  # noqa: PLC0415 -- other modules import it when they need it, too

    if coding == "zstd":
        return bytes(cramjam.zstd.compress(body, _LEVEL))
    return bytes(cramjam.gzip.compress(body, _LEVEL))


async def compress(body: bytes, coding: str) -> bytes:
    """Compress a body without blocking the event loop: a thread compresses large bodies."""
    if len(body) < _IN_THREAD:
        return compressed(body, coding)
    return await to_thread.run_sync(compressed, body, coding)


async def decompress(body: bytes) -> bytes:
    """Decompress a gzip body of `compress`."""
    if len(body) < _IN_THREAD // 8:
        return decompressed(body)
    return await to_thread.run_sync(decompressed, body)


def decompressed(body: bytes) -> bytes:
    """Decompress a gzip body of `compressed`. It blocks."""
    import cramjam  # noqa: PLC0415 -- as above

    return bytes(cramjam.gzip.decompress(body))  # nosemgrep: decompression-without-limit -- the hub compressed it


class Compression:
    """ASGI middleware that compresses responses with one body message."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or _has_secrets(scope["path"]):
            await self.app(scope, receive, send)
            return
        codings = accepted(scope)
        coding: Coding = "zstd" if "zstd" in codings else "gzip" if "gzip" in codings else ""
        start: Message | None = None

        async def sent(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is None:
                await send(message)
                return
            head, start = start, None
            headers = _Headers(head.setdefault("headers", []))
            if not message.get("more_body") and headers.can_be_compressed:
                headers.add(b"vary", b"Accept-Encoding")
                body = message.get("body", b"")
                if coding and len(body) >= LEAST:
                    body = await compress(body, coding)
                    headers.add(b"content-encoding", coding.encode())
                    headers.set(b"content-length", str(len(body)).encode())
                    message = {**message, "body": body}
            await send(head)
            await send(message)

        await self.app(scope, receive, sent)


def _has_secrets(path: str) -> bool:
    return path.startswith("/api/v1/") and path.split("/", 4)[3] in _SECRET_PATHS


class _Headers:
    """The headers of a response."""

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs: Any = pairs

    @property
    def can_be_compressed(self) -> bool:
        """Whether the response is text without a content coding."""
        found = dict(self._pairs)
        return found.get(b"content-type", b"").startswith(_MEDIA) and b"content-encoding" not in found

    def add(self, name: bytes, value: bytes) -> None:
        """Add a header."""
        self._pairs.append((name, value))

    def set(self, name: bytes, value: bytes) -> None:
        """Set a header."""
        self._pairs[:] = [(name, value) if one == name else (one, old) for one, old in self._pairs]
