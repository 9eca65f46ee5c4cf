"""Blocking work that the hub repeats. An unexpected error of one repetition must not end the hub."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from collections.abc import Callable

_LOG = logging.getLogger(__name__)
_P = ParamSpec("_P")


def repeated(work: Callable[_P, None]) -> Callable[_P, None]:
    """Decorate a function that is called again later: log an unexpected error instead of raising it."""

    @functools.wraps(work)
    def logging_errors(*arguments: _P.args, **named: _P.kwargs) -> None:
        try:
            work(*arguments, **named)
        except Exception:  # noqa: BLE001 -- a bug of this work must not cost the other work
            _LOG.exception("%s failed unexpectedly; the hub calls it again", work.__qualname__)

    return logging_errors
