"""The two ends of a request: its id, and the short way to the API."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponseBase
from django.utils.module_loading import import_string

from wallet_project.api.bodies import take_unmeasured_body
from wallet_project.api.defaults import FAST_LANE_MIDDLEWARE, FAST_LANE_PREFIXES
from wallet_project.api.problems import problem_response, refusal_as_problem
from wallet_project.utils.context import request_id
from wallet_project.utils.ids import uuid7

GetResponse = Callable[[HttpRequest], HttpResponseBase]

REQUEST_ID_HEADER: Final = "X-Request-ID"
_META: Final = "HTTP_X_REQUEST_ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class RequestIdMiddleware:
    """The caller's X-Request-ID when it is one, ours otherwise; in every log line, state change and answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        chosen = chosen_request_id(request.META)
        # django-structlog reads the header after us and binds what we leave there.
        request.META[_META] = chosen
        token = request_id.set(chosen)
        try:
            with structlog.contextvars.bound_contextvars(request_id=chosen):
                response = self.get_response(request)
        finally:
            request_id.reset(token)
        response.headers[REQUEST_ID_HEADER] = chosen
        return response


def chosen_request_id(environ: Mapping[str, Any]) -> str:
    given = environ.get(_META, "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid7())


def add_private_headers(response: HttpResponseBase) -> None:
    """Balances and names have no place in anybody's cache."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Frame-Options", "DENY")


class FastLaneMiddleware:
    """Takes requests of the API past the middleware below it, which is for browsers with cookies.

    `settings.MIDDLEWARE` stays whole (the admin's and allauth's start-up checks read it); a request below one of
    FAST_LANE_PREFIXES is answered by a second, shorter chain that ends in the same views. Hooks of middleware above
    this one (process_view, process_exception) are not called for it: those above have none.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.fast_lane = _chain(FAST_LANE_MIDDLEWARE)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(FAST_LANE_PREFIXES):
            return self.get_response(request)
        refusal = take_unmeasured_body(request)
        response = refusal or self.fast_lane(request)
        add_private_headers(response)
        return response


def _chain(paths: list[str]) -> GetResponse:
    """What BaseHandler.load_middleware does with settings.MIDDLEWARE, done with `paths`."""
    handler: Any = BaseHandler()
    handler._view_middleware, handler._template_response_middleware, handler._exception_middleware = [], [], []
    get_response: Any = _with_problems(handler._get_response)
    for path in reversed(paths):
        middleware = import_string(path)(get_response)
        if hasattr(middleware, "process_view"):
            handler._view_middleware.insert(0, middleware.process_view)
        if hasattr(middleware, "process_template_response"):
            handler._template_response_middleware.append(middleware.process_template_response)
        if hasattr(middleware, "process_exception"):
            handler._exception_middleware.append(middleware.process_exception)
        get_response = convert_exception_to_response(middleware)
    chain: GetResponse = get_response
    return chain


def _with_problems(get_response: GetResponse) -> GetResponse:
    """What a plain view or the resolver refuses leaves as a problem, also where DEBUG would have Django show a page."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        try:
            given = get_response(request)
            return refusal_as_problem(given) or given
        except Exception as error:
            response = problem_response(error)
            if response.status_code >= 500:
                got_request_exception.send(sender=None, request=request)
            return response

    return answer
