"""The list of elliptic curves that a TLS context offers, in order of preference.

Python before 3.15 sets one curve only (`SSLContext.set_ecdh_curve`), so a client without that curve is refused. OpenSSL
itself takes a list. See docs/design/0026-settings-as-text.md for the alternatives.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
"""OpenSSL's names by the names of Prometheus' web config format."""
_MONTGOMERY = "X25519"
"""`set_ecdh_curve` of some versions of Python 3.11, such as Debian 12's, does not support this curve."""
_SET_GROUPS_LIST = 92
"""SSL_CTRL_SET_GROUPS_LIST of ``<openssl/ssl.h>``: the macro SSL_CTX_set1_groups_list calls SSL_CTX_ctrl with it."""


def set_groups(context: ssl.SSLContext, curves: Sequence[str]) -> None:
    """Make a TLS context offer only ``curves``, keys of `CURVES`; raise ValueError if this Python or OpenSSL cannot."""
    names = [CURVES[curve] for curve in curves]
    native = getattr(context, "set_groups", None)  # since Python 3.15
    if native is not None:
        native(":".join(names))
    elif len(names) == 1 and names[0] != _MONTGOMERY:
        context.set_ecdh_curve(names[0])
    else:
        set_groups_of_openssl(context, ":".join(names))


def set_groups_of_openssl(context: ssl.SSLContext, names: str) -> None:
    """Make a TLS context offer only these curves (OpenSSL's names and colons); raise ValueError if OpenSSL cannot."""
    import ctypes  # noqa: PLC0415 -- only for a list of curves

    control, clear_errors = _functions()
    control.restype = ctypes.c_long
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    # The pointer is the first field of CPython's PySSLContext, after the object's header.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if control(pointer, _SET_GROUPS_LIST, 0, names.encode()) != 1:
        clear_errors()  # OpenSSL would report the error for the next handshake of this thread
        raise ValueError("OpenSSL does not support all of them")


def _functions() -> tuple[Any, Any]:
    """Return SSL_CTX_ctrl and ERR_clear_error of the library that `ssl` uses; raise ValueError without them."""
    import _ssl  # noqa: PLC0415 -- as above
    import ctypes  # noqa: PLC0415 -- as above

    one_only = ValueError("this Python supports one curve only")
    if sys.implementation.name != "cpython" or sys.version_info >= (3, 15):
        raise one_only
    try:
        library = ctypes.CDLL("libssl-3" if sys.platform == "win32" else getattr(_ssl, "__file__", None))
        errors = ctypes.CDLL("libcrypto-3") if sys.platform == "win32" else library
        functions = library.SSL_CTX_ctrl, errors.ERR_clear_error
    except (OSError, AttributeError):
        raise one_only from None
    return functions
