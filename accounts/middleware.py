"""What stands around allauth's views."""

from collections.abc import Callable
from typing import Final

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponseBase

from wallet_project.api.bodies import take_unmeasured_body
from wallet_project.api.parsers import MAX_BODY_BYTES, BodyTooLarge, parse_object
from wallet_project.api.problems import problem_response, refusal_as_problem
from wallet_project.utils.errors import InvalidInput

PREFIX: Final = "/_allauth/"
#: allauth counts by the minute, and does not say so to those it turns away.
_RETRY_AFTER_SECONDS: Final = 60


class LoginApiMiddleware:
    """Below PREFIX a client meets the ways of our API wherever allauth has none of its own.

    allauth reads bodies with Python's own parser and hands on what it finds: deep nesting, endless numbers and half
    surrogate pairs end as faults of ours. They are refused here. Pages of Django's become problems."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        if refusal := take_unmeasured_body(request) or _refuse_body(request):
            return refusal
        given = self.get_response(request)
        response = refusal_as_problem(given) or given
        if response.status_code == 429:
            response.headers.setdefault("Retry-After", str(_RETRY_AFTER_SECONDS))
        return response


def _refuse_body(request: HttpRequest) -> HttpResponseBase | None:
    try:
        if request.body:
            parse_object(request.body)
    except InvalidInput as error:
        return problem_response(error)
    except RequestDataTooBig:
        return problem_response(BodyTooLarge(MAX_BODY_BYTES))
    return None
