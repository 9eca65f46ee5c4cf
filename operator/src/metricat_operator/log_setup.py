"""Structured logging to stderr, one line per entry, including the entries of kopf and the Kubernetes client."""

import logging
import re
import sys

import structlog

_REPEATED = {
    "kopf": re.compile(r"Request attempt #(?!1\b)\d+\S* failed; will retry|[A-Z][\w /-]* has failed: "),
    "asyncio": re.compile(r"Task exception was never retrieved\n.*site-packages/kopf/"),
}
"""Entries about failures of kopf that other entries report, by the package of the logger.

kopf logs every failed attempt of a request; the first one suffices. When a task of kopf fails, kopf logs its traceback,
and asyncio reports the tasks that failed with it. The supervisor of kopf logs the error once.
"""


def _not_repeated(record: logging.LogRecord) -> bool:
    """Return whether to log the record; at the level DEBUG, log all of them."""
    pattern = _REPEATED.get(record.name.partition(".")[0])
    return not pattern or logging.getLogger().level <= logging.DEBUG or not pattern.match(record.getMessage())


def configure(*, form: str, level: str) -> None:
    """Configure logging through structlog, as JSON or as text."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    handler.addFilter(_not_repeated)
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("kopf", "aiohttp", "asyncio", "kubernetes"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
