"""Logging: constant events, data in fields, and the request or task id in every line."""

import logging
import sys
import threading
from typing import Any

import structlog

get_logger = structlog.stdlib.get_logger
"""A logger: `log.info("event in words", field=value)`."""
log_context = structlog.contextvars.bound_contextvars
"""`with log_context(field=value)` adds fields to every line that this thread or task logs."""
add_log_fields = structlog.contextvars.bind_contextvars
"""`add_log_fields(field=value)` adds them for the rest of the thread or task."""


def configure_logging(*, level: str = "INFO", json: bool = False) -> None:
    """Log records of structlog and the standard library to stderr, in one format.

    Args:
        json: one object per line, of warnings and uncaught exceptions, too.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    # open_clip logs every step of loading a model with the root logger.
    handler.addFilter(lambda line: line.name != "root" or line.levelno >= logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # uvicorn's program has given its lines handlers and a format of their own.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    for name in ("httpx", "httpcore", "PIL", "urllib3", "celery.bootsteps"):
        logging.getLogger(name).setLevel(logging.WARNING)
    if json:
        logging.captureWarnings(capture=True)
        sys.excepthook = lambda *uncaught: _log_uncaught(uncaught)
        threading.excepthook = lambda uncaught: _log_uncaught(uncaught[:3])


def _log_uncaught(uncaught: tuple[Any, ...]) -> None:
    get_logger(__name__).critical("uncaught exception", exc_info=uncaught)
