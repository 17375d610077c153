"""The web server's door: a short way in for the requests that come by the thousand, Django's for all others.

Everything that Django's way does for such a request is done here too, by the same code wherever there is some: its
token, its throttle, its id, its line in the log, its figures, its headers and its problems. What is not in the plain
form that programs send (another media type, a query, a token that Redis does not know) is handed to Django untouched.
`tests/api/test_door.py` sends the same requests both ways and compares all that can be seen.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import responses
from types import SimpleNamespace
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.signals import request_finished, request_started
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

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_JSON: Final = "application/json"
#: Headers that Django's way gives a meaning of its own.
_UNUSUAL: Final = ("HTTP_TRANSFER_ENCODING", "HTTP_X_CORRELATION_ID", "HTTP_X_REQUESTED_WITH")
_ALLOWED: Final = "POST, OPTIONS"
_RENDERER: Final = JSONRenderer()
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


class Door:
    """A WSGI application in front of Django's: POSTs to `paths` in plain form are answered by their views at once."""

    def __init__(self, django: Application, paths: list[str]) -> None:
        self._django = django
        self._routes = routes(paths)
        self._before = PrometheusBeforeMiddleware(_nowhere)
        self._after = PrometheusAfterMiddleware(_nowhere)
        self._log: Any = RequestMiddleware(_nowhere)
        self._headers = {secure: _standing_headers(secure) for secure in (False, True)}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        route = self._routes.get(environ["PATH_INFO"]) if environ["REQUEST_METHOD"] == "POST" else None
        if route is None or not _is_plain(environ, route.view.max_body_bytes):
            return self._django(environ, start_response)
        chosen = chosen_request_id(environ)
        token = request_id.set(chosen)
        try:
            with structlog.contextvars.bound_contextvars(request_id=chosen):
                answered = self._answered(route, environ)
        finally:
            request_id.reset(token)
        if answered is None:
            return self._django(environ, start_response)
        sent, headers = answered
        headers[REQUEST_ID_HEADER] = chosen
        start_response(f"{sent.status_code} {responses[sent.status_code]}", list(headers.items()))
        return [sent.content]

    def _answered(self, route: Route, environ: Environ) -> tuple[_Sent, dict[str, str]] | None:
        """None when the token is nobody's; then nothing has been done or counted."""
        seen = _Seen(route, environ, began=Time())
        request_started.send(sender=Door, environ=environ)
        try:
            try:
                call = self._admitted(seen)
                if call is None:
                    return None
                self._begin(seen)
                sent, headers = _of_answer(route.view.answer(call))
            except Exception as error:
                self._begin(seen)
                sent, headers = _of_error(error)
            self._end(seen, sent)
        finally:
            request_finished.send(sender=Door)
        return sent, {**headers, **self._headers[seen.is_secure()]}

    def _admitted(self, seen: "_Seen") -> Call | None:
        """The call, once its token is somebody's and he has not called too often; None when it is nobody's.

        Raises TooMany, what asking the database raises, and what the body is refused with."""
        now = time.time()
        window = window_of(seen.route.view.throttle_scope, now)
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
        self._after.process_view(seen, None)
        # The token and the throttle were part of it.
        seen.prometheus_before_middleware_event = seen.prometheus_after_middleware_event = seen.began

    def _end(self, seen: "_Seen", sent: _Sent) -> None:
        self._after.process_template_response(seen, sent)
        self._after.process_response(seen, sent)
        self._log.handle_response(seen, sent)
        self._before.process_response(seen, sent)


class _Seen:
    """Of a request, what the middleware that counts and logs looks at."""

    method = "POST"

    def __init__(self, route: Route, environ: Environ, *, began: float) -> None:
        self.META = environ
        self.headers = {"content-length": environ["CONTENT_LENGTH"], "x-request-id": request_id.get()}
        self.resolver_match = self.route = route
        self.user: ApiUser | None = None
        self.began = began
        self.begun = False
        self.prometheus_before_middleware_event = self.prometheus_after_middleware_event = began

    def is_secure(self) -> bool:
        return _is_secure(self.META)

    def get_full_path(self) -> str:
        return self.route.path


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


def _of_answer(answer: Answer) -> tuple[_Sent, dict[str, str]]:
    return _sent(answer.status, answer.body, _JSON, {}, replayed=answer.replayed)


def _of_error(error: Exception) -> tuple[_Sent, dict[str, str]]:
    body, headers = describe(error)
    return _sent(body["status"], body, PROBLEM_JSON, headers, replayed=was_replayed(error))


def _sent(
    status: int, body: Mapping[str, Any], media_type: str, headers: Mapping[str, str], *, replayed: bool
) -> tuple[_Sent, dict[str, str]]:
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


def _nowhere(_request: Any) -> HttpResponse:
    raise AssertionError("the door has no middleware below it")
