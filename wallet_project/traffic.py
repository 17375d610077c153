"""What is on record of requests that do not pass Django's middleware: a line in the log for each, and the figures.

The lines are those of django-structlog and the figures those of django-prometheus; `tests/api/test_door.py` sends the
same requests both ways and compares them. For requests that were answered together they are made together: a counter is
told once of all, and the lines are written at once.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django_prometheus.middleware import Metrics
from django_structlog.middlewares import RequestMiddleware

from wallet_project.utils.logs import lines_together, mask_personal_data

_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"))
_STAMP: Final = structlog.processors.TimeStamper(fmt="iso", utc=True)
#: By the first digit of the status, as RequestMiddleware has them.
_LEVELS: Final = {2: logging.INFO, 4: logging.WARNING, 5: logging.ERROR}
_NO_VIEW: Final = "<unnamed view>"
_logger: Final = logging.getLogger(RequestMiddleware.__module__)


#: What figures tell requests apart by: the method, whether it came by TLS, the view (None where none was looked for)
#: and the status of the answer.
Kind = tuple[str, bool, str | None, int]


def kind_of(method: str, secure: bool, view: str | None, status: int) -> Kind:
    # Anybody may send any word for a method, and figures stay for as long as the process lives.
    return method if method in _METHODS else "<invalid method>", secure, view, status


@dataclass(slots=True)
class Answered:
    """A request that was answered after `took` seconds. `line` is its method and path, `user_id` None where nobody is
    known; what else is to stand in the log is bound in `context`."""

    kind: Kind
    line: str
    user_id: str | None
    context: Context
    bytes_asked: int
    bytes_answered: int
    took: float


class Traffic:
    """To be told once of each request."""

    def __init__(self) -> None:
        self._soon: list[Answered] = []
        self._metrics = Metrics.get_instance()
        self._meters: dict[Kind, tuple[Sequence[Any], Any]] = {}

    def record(self, requests: Iterable[Answered]) -> None:
        alike: dict[Kind, list[Answered]] = defaultdict(list)
        stamp = _STAMP(None, "", {})
        with lines_together():
            for request in requests:
                alike[request.kind].append(request)
                _write(request, stamp)
        for kind, some in alike.items():
            self._count(kind, some)

    def record_soon(self, request: Answered) -> None:
        """In the event loop: with all others of its present turn. When more is refused than can be served these are
        many, and a record by itself costs more than the rest of a refusal."""
        if not self._soon:
            asyncio.get_running_loop().call_soon(self._record_those_of_a_turn)
        self._soon.append(request)

    def _record_those_of_a_turn(self) -> None:
        requests, self._soon = self._soon, []
        self.record(requests)

    def _count(self, kind: Kind, requests: Sequence[Answered]) -> None:
        if (meters := self._meters.get(kind)) is None:
            # Asked for by their labels once, and not for each request.
            meters = self._meters[kind] = self._metered(*kind)
        counters, latency = meters
        for counter in counters:
            counter.inc(len(requests))
        for request in requests:
            self._metrics.requests_body_bytes.observe(request.bytes_asked)
            self._metrics.responses_body_bytes.observe(request.bytes_answered)
            self._metrics.requests_latency_before.observe(request.took)
            latency.observe(request.took)

    def _metered(self, method: str, secure: bool, view: str | None, status: int) -> tuple[Sequence[Any], Any]:
        """What such requests are counted by, and what their time is observed by."""
        metrics, name, told = self._metrics, view or _NO_VIEW, str(status)
        transport = "https" if secure else "http"
        by_view = metrics.requests_by_view_transport_method
        counters = [
            metrics.requests_total,
            metrics.responses_total,
            metrics.requests_by_method.labels(method=method),
            metrics.requests_by_transport.labels(transport=transport),
            *([by_view.labels(view=view, transport=transport, method=method)] if view else ()),
            metrics.responses_by_templatename.labels(templatename="None"),
            metrics.responses_by_status.labels(status=told),
            metrics.responses_by_status_view_method.labels(status=told, view=name, method=method),
            metrics.responses_by_charset.labels(charset="utf-8"),
        ]
        return counters, metrics.requests_latency_by_view_method.labels(view=name, method=method)


def _write(request: Answered, stamp: Mapping[str, Any]) -> None:
    """As RequestMiddleware writes it, without looking up who writes it from where."""
    status = request.kind[-1]
    level = _LEVELS.get(status // 100, logging.ERROR)
    if not _logger.isEnabledFor(level):
        return
    event = {
        "code": status,
        "request": request.line,
        **request.context.run(structlog.contextvars.get_contextvars),
    }
    if request.user_id is not None:
        event["user_id"] = request.user_id
    name = logging.getLevelName(level).lower()
    line = {
        **mask_personal_data(_logger, name, event),
        "event": "request_finished",
        "logger": _logger.name,
        "level": name,
        **stamp,
    }
    record = logging.LogRecord(_logger.name, level, __file__, 0, line, (), None)
    # What structlog's formatter knows its own lines by.
    record._logger, record._name = _logger, name
    _logger.handle(record)
