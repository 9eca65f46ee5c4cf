"""JSON that another program sent. Pure."""

from typing import Any

import msgspec


def decode_json(data: bytes | bytearray | str, kind: Any = Any) -> Any:
    """Return the value of a JSON text as the type `kind`; raise `msgspec.MsgspecError` for any other text.

    `msgspec.json.decode` also raises `UnicodeDecodeError` and `RecursionError`, which its callers easily forget.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8 text: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None
