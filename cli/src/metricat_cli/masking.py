"""Masking of secret values in objects and texts, by kind of value. Pure."""

import re
from typing import Any

MASK = "***"

_SECRET_KEY = re.compile(
    r"(?i)^.*(passw(or)?d|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key(-data)?|"
    r"credentials?|authorization|cookie|webhook[_-]?url)$"
)
"""Keys whose text is a secret. A key such as `secretName` or `tokenFile` names a secret and is kept."""
_DROPPED = frozenset({"managedFields", "kubectl.kubernetes.io/last-applied-configuration"})
"""Parts of objects that repeat other parts."""
_WORD = r"passw(?:or)?d|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?key"
_TEXTS = (
    # PEM private keys, also in one line with \n.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    # HTTP headers: the scheme stays.
    (
        re.compile(r"(?i)\b(authorization|cookie|x-api-key)(\"?'?\s*[:=]\s*\"?'?)((?:bearer|basic)\s+)?[^\s\"',;]+"),
        rf"\1\2\3{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"), rf"\1 {MASK}"),
    # Passwords in URLs, and incoming webhooks, whose path is the secret.
    (re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@\"']+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)(https://hooks\.slack\.com/)[^\s\"']+"), rf"\1{MASK}"),
    # key=value, key: value, "key": "value"; also the parameters of URLs.
    (
        re.compile(
            rf"(?i)((?:{_WORD})\\?[\"']?[ \t]*[=:][ \t]*\\?)"
            r"(?:\"[^\"\n]+\"|'[^'\n]+'|[^\s\"'&,;{}\[\]\\]+)",
            re.MULTILINE,
        ),
        rf"\1{MASK}",
    ),
    # JSON Web Tokens, and keys of clouds.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
)


def masked_text(text: str) -> str:
    """Return a text without passwords, tokens, keys and credentials in URLs."""
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


def masked(value: Any) -> Any:
    """Return an object of the API server without secret values and without `managedFields`.

    Strings below keys that name secrets become `***`, as do the values of environment variables and HTTP headers whose
    names do. A Secret keeps its metadata only.
    """
    if isinstance(value, dict):
        if value.get("kind") == "Secret" and "data" in value:
            value = {key: item for key, item in value.items() if key not in ("data", "stringData")}
        if _SECRET_KEY.match(str(value.get("name", ""))) and isinstance(value.get("value"), str):
            value = {**value, "value": MASK}  # a variable of a container, or an HTTP header
        return {key: _item(str(key), item) for key, item in value.items() if key not in _DROPPED}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked_text(value) if isinstance(value, str) else value


def _item(key: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SECRET_KEY.match(key):
        return MASK
    return masked(value)
