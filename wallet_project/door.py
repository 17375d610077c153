"""The web server's door: a short way in for the requests that come by the thousand, Django's for all others.

Those in the plain form that programs send are served together with what comes at the same time (`tellers`): their
tokens and counts are one question to Redis, what they ask for is one call of their views. Everything that Django's way
does for such a request is done here too, by the same code wherever there is some: its token, its throttle, its id, its
line in the log, its figures, its headers and its problems. What is not in plain form (another media type, a query, no
token or nobody's) is handed to Django untouched. `tests/api/test_door.py` sends the same requests both ways and
compares all that can be seen.

It also bounds how much is worked on at once: what is more is refused at once, whichever way it would have gone. It
stands in the server's event loop (RSGI), so that what waits for a teller or is refused needs no thread.
"""

import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Final

import structlog
from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import get_path_info
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, reset_queries
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware

from wallet_project.api.direct import Call, JointView, Route, routes, was_replayed
from wallet_project.api.idempotency import REPLAYED_HEADER
from wallet_project.api.negotiation import takes_json
from wallet_project.api.parsers import parse_object
from wallet_project.api.problems import PROBLEM_JSON, IncompleteBody, describe
from wallet_project.api.renderers import JSONRenderer
from wallet_project.api.throttling import Window, window_of
from wallet_project.gateway import (
    Environ,
    Exchange,
    Gateways,
    Headers,
    ProtocolClosed,
    Room,
    Scope,
    environ_of,
    hear_out,
    length_of,
    take_body,
)
from wallet_project.middleware import REQUEST_ID_HEADER, add_private_headers, chosen_request_id
from wallet_project.tellers import NoWord, Tellers
from wallet_project.traffic import Answered, Traffic, kind_of
from wallet_project.utils import identity
from wallet_project.utils.context import request_id
from wallet_project.utils.errors import TooBusy
from wallet_project.utils.identity import Identity

_JSON: Final = "application/json"
#: Where `at_once` counts. Health, figures and staff are let in whatever happens.
_LIMITED: Final = ("/api/", "/_allauth/", "/webhooks/")
#: Headers that Django's way gives a meaning of its own.
_UNUSUAL: Final = frozenset(("HTTP_TRANSFER_ENCODING", "HTTP_X_CORRELATION_ID", "HTTP_X_REQUESTED_WITH"))
_ALLOWED: Final = "POST, OPTIONS"
_RENDERER: Final = JSONRenderer()
#: What Django itself does when a request begins and ends. Of this only looking after connections is about one that has
#: gone past it: our cache needs no closing, and no URL was resolved for it.
_DJANGOS_OWN: Final = {id(told) for told in (reset_queries, close_old_connections, close_caches, reset_urlconf)}


@dataclass(frozen=True, slots=True)
class _Sent:
    """What is answered."""

    status: int
    content: bytes
    headers: Headers


#: Whose the token is, and how often he has called, where that is known.
_Admission = tuple[Identity, int | None]


class _Visit:
    """A request at the door, and what has become of it."""

    def __init__(self, environ: Environ, exchange: Exchange, route: Route | None = None, body: bytes = b"") -> None:
        self.environ = environ
        self.exchange = exchange
        self.method: str = environ["REQUEST_METHOD"]
        self.request_id = chosen_request_id(environ)
        self.route = route
        self.body = body
        self.began = time.perf_counter()
        self.user_id: str | None = None
        #: What its view has made of it, once its caller was let in.
        self.asked: Any = None
        self.sent: _Sent | None = None
        self.answered: Answered | None = None
        self.context = contextvars.Context()
        self.context.run(self._bind)

    def _bind(self) -> None:
        request_id.set(self.request_id)
        structlog.contextvars.bind_contextvars(request_id=self.request_id)


def tellers_with_connections(serve: Callable[[Sequence[_Visit]], None], **own: Any) -> Tellers[_Visit]:
    """Each keeps his connection for as long as he serves. A thread that ends does not give it back by itself, and the
    pool would have one less for good."""
    return Tellers(serve, part=lambda: connection.close(), **own)


class Door:
    """An RSGI application in front of Django's: POSTs to `paths` in plain form are answered by their views together."""

    def __init__(
        self,
        django: Gateways,
        paths: list[str],
        *,
        payments_at_once: int,
        tellers: Callable[[Callable[[Sequence[_Visit]], None]], Tellers[_Visit]] = tellers_with_connections,
        traffic: Traffic | None = None,
    ) -> None:
        self._django = django
        self._routes = routes(paths)
        self._payments_room = Room(payments_at_once)
        self._counter = _Counter(self._routes, traffic or Traffic())
        self._tellers = tellers(self._counter.serve)

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        await self.answer(environ_of(scope), exchange)

    async def answer(self, environ: Environ, exchange: Exchange) -> None:
        path = environ["PATH_INFO"]
        route = self._routes.get(path) if environ["REQUEST_METHOD"] == "POST" else None
        plain = route is not None and _is_plain(environ, route.view.max_body_bytes)
        gateway = self._django.of(environ, limited=path.startswith(_LIMITED))
        room = self._payments_room if plain else gateway.room
        try:
            room.refuse_if_full()
            if "wsgi.input" not in environ:
                await take_body(environ, exchange)
                # Whose body is still to come keeps no place.
                room.refuse_if_full()
        except ProtocolClosed:
            return
        except TimeoutError:
            self._counter.refuse(_Visit(environ, exchange), IncompleteBody())
        except TooBusy as error:
            self._counter.refuse(_Visit(environ, exchange), error)
            await hear_out(environ, exchange)
        else:
            with room.place():
                if plain:
                    body = environ["wsgi.input"].read(length_of(environ))
                    await self._visit(_Visit(environ, exchange, route, body))
                else:
                    await gateway.serve(environ, exchange)

    async def _visit(self, visit: _Visit) -> None:
        try:
            await self._tellers.visit(visit)
        except NoWord as error:
            # Its teller has the visit still, and tells in its own line of the log what became of it.
            self._counter.refuse(_Visit(visit.environ, visit.exchange, visit.route), error)
        except TooBusy as error:
            self._counter.refuse(visit, error)
        else:
            if visit.asked is not None and visit.sent is None:
                await self._django.usual.run(self._counter.serve_alone, visit)
            elif visit.sent is None:
                # Its token is nobody's; nothing has been done or counted.
                environ = {**visit.environ, "wsgi.input": BytesIO(visit.body)}
                await self._django.usual.serve(environ, visit.exchange)


class _Counter:
    """Where visits are served: by a teller several together, or each alone by its own thread."""

    def __init__(self, routes: Mapping[str, Route], traffic: Traffic) -> None:
        self._together = next(iter(routes.values())).view.together
        self._traffic = traffic
        self._headers = {secure: _standing_headers(secure) for secure in (False, True)}

    def serve(self, visits: Sequence[_Visit]) -> None:
        """Each that is let in is answered, or has `asked` for what is to be done alone."""
        try:
            now = time.time()
            windows = {scope: window_of(scope, now) for scope in {_scope_of(visit) for visit in visits}}
            for visit, admission in zip(visits, _admitted(visits, windows), strict=True):
                if admission is not None:
                    visit.context.run(self._ask, visit, windows[_scope_of(visit)], admission, now)
            ready = [visit for visit in visits if visit.asked is not None]
            outcomes = self._together([visit.asked for visit in ready]) if ready else ()
            for visit, outcome in zip(ready, outcomes, strict=True):
                if outcome is not None:
                    visit.context.run(self._tell, visit, outcome)
        except Exception as error:
            for visit in visits:
                if visit.sent is None and visit.asked is None:
                    visit.context.run(self._fail, visit, error)
        finally:
            self._answer(visits)
            # A teller keeps its connection from one time to the next, unless something went wrong with it.
            if connection.errors_occurred:
                connection.close()

    def serve_alone(self, visit: _Visit) -> None:
        visit.context.run(self._do_alone, visit)
        self._answer([visit])

    def _do_alone(self, visit: _Visit) -> None:
        try:
            outcome = _view_of(visit).alone(visit.asked)
        except Exception as error:
            outcome = error
        try:
            self._tell(visit, outcome)
        finally:
            close_old_connections()

    def refuse(self, visit: _Visit, error: Exception) -> None:
        visit.context.run(self._fail, visit, error)
        self._traffic.record_soon(_send(visit))

    def _answer(self, visits: Sequence[_Visit]) -> None:
        # Nobody waits for his line in the log.
        self._traffic.record([_send(visit) for visit in visits if visit.sent])

    def _ask(self, visit: _Visit, window: Window | None, admission: _Admission, now: float) -> None:
        who, calls = admission
        visit.user_id = str(who.user_id)
        try:
            if window:
                window.refuse(calls, now)
            call = Call(parse_object(visit.body), visit.environ.get("HTTP_IDEMPOTENCY_KEY"), who.user_id, who.actor())
            visit.asked = _view_of(visit).asked(call)
        except Exception as error:
            self._fail(visit, error)

    def _tell(self, visit: _Visit, outcome: Any) -> None:
        try:
            if isinstance(outcome, Exception):
                raise outcome
            answer = _view_of(visit).told(visit.asked, outcome)
        except Exception as error:
            self._fail(visit, error)
        else:
            self._finish(visit, answer.status, answer.body, _JSON, {}, answer.replayed)

    def _fail(self, visit: _Visit, error: Exception) -> None:
        body, headers = describe(error)
        self._finish(visit, body["status"], body, PROBLEM_JSON, headers, was_replayed(error))

    def _finish(
        self,
        visit: _Visit,
        status: int,
        body: Mapping[str, Any],
        media_type: str,
        own: Mapping[str, str],
        replayed: bool,
    ) -> None:
        headers = {"Content-Type": media_type, "Allow": _ALLOWED, **own}
        if replayed:
            headers[REPLAYED_HEADER] = "true"
        secure = _is_secure(visit.environ)
        headers |= {**self._headers[secure], REQUEST_ID_HEADER: visit.request_id}
        sent = visit.sent = _Sent(status, _RENDERER.render(body), list(headers.items()))
        visit.answered = Answered(
            kind=kind_of(visit.method, secure, visit.route.view_name if visit.route else None, status),
            line=f"{visit.method} {get_path_info(visit.environ)}",
            user_id=visit.user_id,
            context=visit.context,
            bytes_asked=length_of(visit.environ),
            bytes_answered=len(sent.content),
            took=time.perf_counter() - visit.began,
        )


def _send(visit: _Visit) -> Answered:
    """Give it its answer, and say what is to be on record of it."""
    assert visit.sent is not None, "it was finished"
    assert visit.answered is not None, "it was finished"
    visit.exchange.response_bytes(visit.sent.status, visit.sent.headers, visit.sent.content)
    return visit.answered


def _admitted(visits: Sequence[_Visit], windows: Mapping[str, Window | None]) -> list[_Admission | None]:
    """Whose each one's token is, and how often he has called as far as that is known; None when it is nobody's."""
    counters = {scope: window.counter() if window else None for scope, window in windows.items()}
    wanted = [(visit.environ["HTTP_X_SESSION_TOKEN"], counters[_scope_of(visit)]) for visit in visits]
    admitted = identity.admit(wanted)
    unknown = [number for number, admission in enumerate(admitted) if admission is None]
    if unknown:
        found = identity.look_up([wanted[number][0] for number in unknown])
        # Redis knows them by now, so that their calls are counted, unless it is away.
        counted = identity.admit([wanted[number] for number in unknown])
        for number, who, admission in zip(unknown, found, counted, strict=True):
            admitted[number] = (admission or (who, None)) if who else None
    return admitted


def _view_of(visit: _Visit) -> type[JointView]:
    assert visit.route is not None, "what is served has a route"
    return visit.route.view


def _scope_of(visit: _Visit) -> str:
    return _view_of(visit).throttle_scope


def _is_plain(environ: Environ, max_body_bytes: int) -> bool:
    """Whether it is sent as programs send it; what is not may be right too, or wrong in a way that Django tells of."""
    return (
        environ.get("CONTENT_TYPE") == _JSON
        and 0 < length_of(environ) <= max_body_bytes
        and "HTTP_X_SESSION_TOKEN" in environ
        and not environ.get("QUERY_STRING")
        and not environ.get("SCRIPT_NAME")
        and takes_json(environ.get("HTTP_ACCEPT"))
        and _UNUSUAL.isdisjoint(environ)
        and (_is_secure(environ) or not settings.SECURE_SSL_REDIRECT)
        and not _somebody_listens()
    )


def _is_secure(environ: Environ) -> bool:
    """What HttpRequest.is_secure says."""
    proxy: tuple[str, str] | None = settings.SECURE_PROXY_SSL_HEADER
    if proxy and (said := environ.get(proxy[0])) is not None:
        return bool(said.split(",", 1)[0].strip() == proxy[1])
    return bool(environ["wsgi.url_scheme"] == "https")


def _standing_headers(secure: bool) -> dict[str, str]:
    """What middleware puts on every answer of the API, asked of it once."""
    response = HttpResponse()
    del response.headers["Content-Type"]
    add_private_headers(response)
    security: Any = SecurityMiddleware(_nowhere)
    security.process_response(SimpleNamespace(is_secure=lambda: secure), response)
    return dict(response.headers.items())


def _somebody_listens() -> bool:
    """Whether anybody but Django wants to know when a request begins and ends."""
    receivers = (*request_started.receivers, *request_finished.receivers)
    return any(receiver[0][0] not in _DJANGOS_OWN for receiver in receivers)


def _nowhere(_request: Any) -> HttpResponse:
    raise AssertionError("the door has no middleware below it")
