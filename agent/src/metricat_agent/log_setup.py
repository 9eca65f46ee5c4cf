"""Logging to standard error, as text or JSON."""

from __future__ import annotations

import logging
import sys
import time

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object per line: time (RFC 3339, UTC), level, logger, message and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line of JSON."""
        import json  # noqa: PLC0415 -- half a MiB of memory, needed only for JSON

        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def configure(level: str, fmt: str, *, access: bool) -> None:
    """Log records of ``level`` and above; ``access`` logs every request, regardless of the level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonLines() if fmt == "json" else logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=_LEVELS[level], handlers=[handler])
    logging.getLogger("metricat_agent.access").setLevel(logging.INFO if access else logging.CRITICAL)
