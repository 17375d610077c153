"""What stands before allauth's views."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from wallet_project.api.parsers import parse_object
from wallet_project.api.problems import problem_response
from wallet_project.utils.errors import InvalidInput

PREFIX = "/_allauth/"


class StrictLoginBodies:
    """allauth reads bodies with Python's own parser and hands on what it finds: deep nesting, endless numbers and half
    surrogate pairs end as faults of ours. They are refused here, in the way of the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(PREFIX) and request.body:
            try:
                parse_object(request.body)
            except InvalidInput as error:
                return problem_response(error)
        return self.get_response(request)
