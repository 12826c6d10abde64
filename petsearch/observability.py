"""Logs: constant events in words, data in fields, the request or task id in every line."""

import logging
import sys
from collections.abc import Mapping
from typing import Any

import structlog

get_logger = structlog.stdlib.get_logger
"""A logger; `log.info("event in words", field=value)`."""
bound = structlog.contextvars.bound_contextvars
"""A context that adds `fields` to every line this thread or task logs within it."""


def configure_logging(*, level: str = "INFO", json: bool = False) -> None:
    """Send structlog's and the standard library's records through one formatter to stderr."""
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
    handler.addFilter(_is_not_root_chatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("httpx", "httpcore", "PIL", "urllib3", "celery.bootsteps"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _is_not_root_chatter(record: logging.LogRecord) -> bool:
    # open_clip tells every step of loading a model through the root logger.
    return record.name != "root" or record.levelno >= logging.WARNING


def bind(**fields: Any) -> Mapping[str, Any]:
    """Put `fields` into every line this thread or task logs from now on; undo with `unbind`."""
    return structlog.contextvars.bind_contextvars(**fields)


def unbind(tokens: Mapping[str, Any]) -> None:
    """Undo a `bind`."""
    structlog.contextvars.reset_contextvars(**tokens)
