"""The web server's door: a short way in for the requests that come by the thousand, Django's for all others.

Everything that Django's way does for such a request is done here too, by the same code wherever there is some: its
token, its throttle, its id, its line in the log, its figures, its headers and its problems. What is not in the plain
form that programs send (another media type, a query, no token or nobody's) is handed to Django untouched.
`tests/api/test_door.py` sends the same requests both ways and compares all that can be seen.

It also bounds how much is worked on at once: what is more is refused at once, whichever way it would have gone.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from http.client import responses
from types import SimpleNamespace
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import get_path_info
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from django_prometheus.middleware import PrometheusAfterMiddleware, PrometheusBeforeMiddleware, Time
from django_structlog.middlewares import RequestMiddleware
from rest_framework.renderers import JSONRenderer

from wallet_project.api.authentication import ApiUser
from wallet_project.api.direct import Answer, Call, Route, routes, was_replayed
from wallet_project.api.idempotency import REPLAYED_HEADER
from wallet_project.api.negotiation import takes_json
from wallet_project.api.parsers import parse_object
from wallet_project.api.problems import PROBLEM_JSON, describe
from wallet_project.api.throttling import count, window_of
from wallet_project.middleware import REQUEST_ID_HEADER, add_private_headers, chosen_request_id
from wallet_project.utils import identity
from wallet_project.utils.context import request_id
from wallet_project.utils.errors import TooBusy
from wallet_project.utils.logs import mask_personal_data

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_JSON: Final = "application/json"
#: Where `at_once` counts. Health, figures and staff are let in whatever happens, by the threads that the server has
#: beyond that number; they are also those that refuse.
_LIMITED: Final = ("/api/", "/_allauth/", "/webhooks/")
#: Headers that Django's way gives a meaning of its own.
_UNUSUAL: Final = ("HTTP_TRANSFER_ENCODING", "HTTP_X_CORRELATION_ID", "HTTP_X_REQUESTED_WITH")
_ALLOWED: Final = "POST, OPTIONS"
_RENDERER: Final = JSONRenderer()
#: What Django itself does when a request begins and ends. Of this only looking after connections is about one that has
#: gone past it: our cache needs no closing, and no URL was resolved for it.
_DJANGOS_OWN: Final = {id(told) for told in (reset_queries, close_old_connections, close_caches, reset_urlconf)}
_STAMP: Final = structlog.processors.TimeStamper(fmt="iso", utc=True)
#: By the first digit of the status, as RequestMiddleware has them.
_LEVELS: Final = {2: logging.INFO, 4: logging.WARNING, 5: logging.ERROR}
_logger: Final = logging.getLogger(RequestMiddleware.__module__)


@dataclass(frozen=True, slots=True)
class _Sent:
    """Of a response, what it looks at."""

    status_code: int
    content: bytes
    charset: str = "utf-8"
    streaming: bool = False
    #: The framework's responses have one, and it is counted.
    template_name: None = None


_Told = tuple[_Sent, dict[str, str]]


class _Room:
    """How many requests are worked on at once. Nobody waits for a place: who finds none is to come again."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._lock = threading.Lock()

    def enter(self) -> bool:
        with self._lock:
            if self._free == 0:
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._free += 1


class Door:
    """A WSGI application in front of Django's: POSTs to `paths` in plain form are answered by their views at once."""

    def __init__(self, django: Application, paths: list[str], *, at_once: int) -> None:
        self._django = django
        self._routes = routes(paths)
        self._room = _Room(at_once)
        self._before = PrometheusBeforeMiddleware(_nowhere)
        self._after = _Figures(_nowhere)
        self._log: Any = RequestMiddleware(_nowhere)
        self._headers = {secure: _standing_headers(secure) for secure in (False, True)}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not environ["PATH_INFO"].startswith(_LIMITED):
            return self._django(environ, start_response)
        if not self._room.enter():
            return self._answer_by(self._refused, environ, start_response)
        try:
            route = self._routes.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
            if route is None or not _is_plain(environ, route.view.max_body_bytes):
                return self._django(environ, start_response)
            return self._answer_by(partial(self._answered, route), environ, start_response)
        finally:
            self._room.leave()

    def _answer_by(
        self, way: Callable[[Environ], _Told | None], environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        chosen = chosen_request_id(environ)
        token = request_id.set(chosen)
        try:
            with structlog.contextvars.bound_contextvars(request_id=chosen):
                told = way(environ)
        finally:
            request_id.reset(token)
        if told is None:
            return self._django(environ, start_response)
        sent, headers = told
        headers = {**headers, **self._headers[_is_secure(environ)], REQUEST_ID_HEADER: chosen}
        start_response(f"{sent.status_code} {responses[sent.status_code]}", list(headers.items()))
        return [sent.content]

    def _refused(self, environ: Environ) -> _Told:
        seen = _Seen(environ, None, began=Time())
        self._begin(seen)
        body, headers = describe(TooBusy())
        told = _sent(body["status"], body, PROBLEM_JSON, headers, replayed=False)
        self._end(seen, told[0])
        return told

    def _answered(self, route: Route, environ: Environ) -> _Told | None:
        """None when the token is nobody's; then nothing has been done or counted."""
        seen = _Seen(environ, route, began=Time())
        listened = _somebody_listens()
        if listened:
            request_started.send(sender=Door, environ=environ)
        try:
            try:
                call = self._admitted(seen, route)
                if call is None:
                    return None
                self._begin(seen)
                told = _of_answer(route.view.answer(call))
            except Exception as error:
                self._begin(seen)
                told = _of_error(error)
            self._end(seen, told[0])
        finally:
            if listened:
                request_finished.send(sender=Door)
            else:
                close_old_connections()
        return told

    def _admitted(self, seen: "_Seen", route: Route) -> Call | None:
        """The call, once its token is somebody's and he has not called too often; None when it is nobody's.

        Raises TooMany, what asking the database raises, and what the body is refused with."""
        now = time.time()
        window = window_of(route.view.throttle_scope, now)
        counter = window.counter() if window else None
        token = seen.META["HTTP_X_SESSION_TOKEN"]
        who, calls = identity.admit(token, counter) or (identity.resolve(token), None)
        if who is None:
            return None
        seen.user = ApiUser(who.user_id)
        if window and counter:
            window.refuse(count(counter, who.user_id) if calls is None else calls, now)
        body = seen.META["wsgi.input"].read(int(seen.META["CONTENT_LENGTH"]))
        return Call(parse_object(body), seen.META.get("HTTP_IDEMPOTENCY_KEY"), who.user_id, who.actor())

    def _begin(self, seen: "_Seen") -> None:
        if seen.begun:
            return
        seen.begun = True
        self._before.process_request(seen)
        if _logger.isEnabledFor(settings.DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL):
            self._log.prepare(seen)
        self._after.process_request(seen)
        if seen.resolver_match:
            self._after.process_view(seen, None)
        # The token and the throttle were part of it.
        seen.prometheus_before_middleware_event = seen.prometheus_after_middleware_event = seen.began

    def _end(self, seen: "_Seen", sent: _Sent) -> None:
        self._after.process_template_response(seen, sent)
        self._after.process_response(seen, sent)
        _tell_of(seen, sent)
        self._before.process_response(seen, sent)


class _Figures(PrometheusAfterMiddleware):  # type: ignore[misc]
    """Looks up what some labels are counted by once, and not for each request."""

    def __init__(self, get_response: Callable[..., HttpResponse]) -> None:
        super().__init__(get_response)
        self._known: dict[tuple[Any, ...], Any] = {}

    def label_metric(self, metric: Any, request: Any, response: Any = None, **labels: str) -> Any:
        if not labels:
            return metric
        key = (metric, *labels.values())
        if (found := self._known.get(key)) is None:
            found = self._known[key] = metric.labels(**labels)
        return found


def _tell_of(seen: "_Seen", sent: _Sent) -> None:
    """The request's line in the log, as RequestMiddleware writes it, without looking up who writes it from where."""
    level = _LEVELS.get(sent.status_code // 100, logging.ERROR)
    if _logger.isEnabledFor(level):
        if seen.user is not None:
            structlog.contextvars.bind_contextvars(user_id=str(seen.user.pk))
        name = logging.getLevelName(level).lower()
        event: MutableMapping[str, Any] = {
            "code": sent.status_code,
            "request": f"{seen.method} {seen.get_full_path()}",
            "event": "request_finished",
            **structlog.contextvars.get_contextvars(),
            "logger": _logger.name,
            "level": name,
        }
        line = mask_personal_data(_logger, name, _STAMP(_logger, name, event))
        record = logging.LogRecord(_logger.name, level, __file__, 0, line, (), None)
        # What structlog's formatter knows its own lines by.
        record._logger, record._name = _logger, name
        _logger.handle(record)
    structlog.contextvars.clear_contextvars()


class _Seen:
    """Of a request, what the middleware that counts and logs looks at."""

    def __init__(self, environ: Environ, route: Route | None, *, began: float) -> None:
        self.META = environ
        self.method = environ["REQUEST_METHOD"]
        length = environ.get("CONTENT_LENGTH", "")
        measured = length.isascii() and length.isdigit()
        self.headers = {"content-length": length if measured else "0", "x-request-id": request_id.get()}
        self.resolver_match = route
        self.user: ApiUser | None = None
        self.began = began
        self.begun = False
        self.prometheus_before_middleware_event = self.prometheus_after_middleware_event = began

    def is_secure(self) -> bool:
        return _is_secure(self.META)

    def get_full_path(self) -> str:
        return get_path_info(self.META)


def _is_plain(environ: Environ, max_body_bytes: int) -> bool:
    """Whether it is sent as programs send it; what is not may be right too, or wrong in a way that Django tells of."""
    length = environ.get("CONTENT_LENGTH", "")
    return (
        environ.get("CONTENT_TYPE") == _JSON
        and length.isascii()
        and length.isdigit()
        and 0 < int(length) <= max_body_bytes
        and "HTTP_X_SESSION_TOKEN" in environ
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
        and takes_json(environ.get("HTTP_ACCEPT"))
        and not any(name in environ for name in _UNUSUAL)
        and (_is_secure(environ) or not settings.SECURE_SSL_REDIRECT)
    )


def _is_secure(environ: Environ) -> bool:
    """What HttpRequest.is_secure says."""
    proxy: tuple[str, str] | None = settings.SECURE_PROXY_SSL_HEADER
    if proxy and (said := environ.get(proxy[0])) is not None:
        return bool(said.split(",", 1)[0].strip() == proxy[1])
    return bool(environ["wsgi.url_scheme"] == "https")


def _of_answer(answer: Answer) -> _Told:
    return _sent(answer.status, answer.body, _JSON, {}, replayed=answer.replayed)


def _of_error(error: Exception) -> _Told:
    body, headers = describe(error)
    return _sent(body["status"], body, PROBLEM_JSON, headers, replayed=was_replayed(error))


def _sent(
    status: int, body: Mapping[str, Any], media_type: str, headers: Mapping[str, str], *, replayed: bool
) -> _Told:
    told = {"Content-Type": media_type, "Allow": _ALLOWED, **headers}
    if replayed:
        told[REPLAYED_HEADER] = "true"
    return _Sent(status, _RENDERER.render(body)), told


def _standing_headers(secure: bool) -> dict[str, str]:
    """What middleware puts on every answer of the API, asked of it once."""
    response = HttpResponse()
    del response.headers["Content-Type"]
    add_private_headers(response)
    security: Any = SecurityMiddleware(_nowhere)
    security.process_response(SimpleNamespace(is_secure=lambda: secure), response)
    return dict(response.headers.items())


def _somebody_listens() -> bool:
    """Whether anybody but Django wants to know when a request begins and ends, or DEBUG remembers its queries."""
    receivers = (*request_started.receivers, *request_finished.receivers)
    return settings.DEBUG or any(receiver[0][0] not in _DJANGOS_OWN for receiver in receivers)


def _nowhere(_request: Any) -> HttpResponse:
    raise AssertionError("the door has no middleware below it")
