"""Read the body of an HTTP response with limits of its size and time."""

import http.client
import time

_CHUNK = 2**18


class SlowBodyError(TimeoutError):
    """The server sends the body, but too slowly."""


def read_body(response: http.client.HTTPResponse, most_bytes: int, seconds: float) -> bytes:
    """Return the body; if it is larger than `most_bytes`, return more than these, but not all.

    Raises:
        SlowBodyError: the body is not complete after `seconds`.
        http.client.IncompleteRead: the connection ended before the end of the body.
        OSError: no data arrived within the time limit of the socket, or the connection failed.
    """
    end = time.monotonic() + seconds
    content = bytearray()
    while len(content) <= most_bytes and (part := response.read1(_CHUNK)):
        content += part
        if time.monotonic() > end:
            raise SlowBodyError(f"no complete response within {seconds:g} s")
    if response.length and len(content) <= most_bytes:
        raise http.client.IncompleteRead(bytes(content), response.length)
    return bytes(content)
