"""Structured logs: one line per event, with the request's and the transaction's id, and nothing personal.

`logging_config` gives settings.LOGGING and sets structlog up; both kinds of loggers end in the same formatter.
"""

import json
import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import orjson
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

MASK: Final = "***"

#: Keys whose values say who somebody is, or let one in. Masked wherever they stand in an event.
PERSONAL_KEYS: Final = frozenset(
    {
        "address",
        "authorization",
        "beneficiary",
        "birthdate",
        "cookie",
        "date_of_birth",
        "document_number",
        "document_type",
        "email",
        "first_name",
        "iban",
        "ip",
        "last_name",
        "metadata",
        "name",
        "new_password",
        "password",
        "phone",
        "profile",
        "raw_body",
        "recipient",
        "remote_addr",
        "secret",
        "session_key",
        "session_token",
        "set_cookie",
        "token",
        "user_agent",
        "username",
        "x_session_token",
    }
)

# Free text (a traceback's last line, a driver's message) may quote what somebody sent.
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b")
# PostgreSQL quotes the row: Key (email)=(a@b.c) already exists; Failing row contains (…).
_ROW = re.compile(r"(Key \([^)\n]*\)=|Failing row contains )\(.*\)")
_MAX_DEPTH: Final = 6


def mask_personal_data(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _masked(key, value, 0) for key, value in event.items()}


def drop_query_string(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A request line is logged without its query: people search the admin by name and e-mail."""
    if isinstance(line := event.get("request"), str):
        event["request"] = line.split("?", 1)[0]
    return event


def _masked(key: str, value: Any, depth: int) -> Any:
    if _is_personal(key) and value is not None:
        return MASK
    if isinstance(value, str):
        return scrub(value)
    if depth >= _MAX_DEPTH:
        return MASK if isinstance(value, dict | list | tuple) else value
    if isinstance(value, MutableMapping):
        return {name: _masked(str(name), item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", item, depth + 1) for item in value]
    return value


@lru_cache(maxsize=1000)
def _is_personal(key: str) -> bool:
    return key.lower().replace("-", "_") in PERSONAL_KEYS


def scrub(text: str) -> str:
    """`text` without e-mail addresses, IBANs and rows that the database quoted."""
    if "@" in text:
        text = _EMAIL.sub(MASK, text)
    if "(" in text:
        text = _ROW.sub(rf"\1({MASK})", text)
    return _IBAN.sub(MASK, text)


class LineFormatter(structlog.stdlib.ProcessorFormatter):
    """What structlog has made ready is written as it is: no record is made of it again, and looked through."""

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict) and hasattr(record, "_logger"):
            # A copy, as other handlers have the same record, and a renderer may take things out.
            return str(self.processors[-1](record._logger, "", {**record.msg}))
        return super().format(record)


class LineHandler(logging.StreamHandler[Any]):
    """Writes to standard error, a line a record."""

    def emit(self, record: logging.LogRecord) -> None:
        if (held := getattr(_held, "lines", None)) is None:
            super().emit(record)
            return
        try:
            held[self].append(self.format(record))
        except Exception:
            self.handleError(record)

    def write(self, lines: Sequence[str]) -> None:
        text = self.terminator.join([*lines, ""])
        self.acquire()
        try:
            self.stream.write(text)
            self.flush()
        except Exception:
            self.handleError(logging.makeLogRecord({"msg": text}))
        finally:
            self.release()


_held: Final = threading.local()


@contextmanager
def lines_together() -> Iterator[None]:
    """What this thread logs meanwhile is written at the end, all at once: each write is a call of the system, and lets
    Python's other threads in."""
    held: dict[LineHandler, list[str]] = defaultdict(list)
    _held.lines = held
    try:
        yield
    finally:
        _held.lines = None
        for handler, lines in held.items():
            handler.write(lines)


def _as_json(event: EventDict, default: Callable[[Any], Any]) -> str:
    try:
        return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # A number beyond 64 bits, half of a surrogate pair: rather that than no line.
        return json.dumps(event, default=default)


def logging_config(log_format: str, *, level: str = "INFO") -> dict[str, Any]:
    """settings.LOGGING for `log_format` json or console. Sets structlog up as well."""
    if log_format not in ("json", "console"):
        raise ValueError(f"LOG_FORMAT is json or console, not {log_format!r}")
    # No line says which thread or process wrote it, so nobody needs to look.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(allow=("task", "error", "status_code")),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        drop_query_string,
        mask_personal_data,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(_as_json, default=str)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *(step for step in shared if not isinstance(step, structlog.stdlib.ExtraAdder)),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": LineFormatter,
        "foreign_pre_chain": shared,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": formatter},
        "handlers": {"stderr": {"()": LineHandler, "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own handlers would write each line twice, and in another form.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # Each request is logged once, by django-structlog: not again as a warning of its status.
            "django.request": {"handlers": [], "level": "CRITICAL", "propagate": True},
            # "received" and "succeeded" for every sweep, several a second on a wallet that has nothing to do.
            "celery.worker.strategy": {"handlers": [], "level": "WARNING", "propagate": True},
            "celery.app.trace": {"handlers": [], "level": "WARNING", "propagate": True},
        },
    }
