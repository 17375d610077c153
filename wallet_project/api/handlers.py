"""Django's error handlers: a problem for the API's paths, Django's own page elsewhere. Named in the root URLconf."""

from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

from wallet_project.api.defaults import FAST_LANE_PREFIXES
from wallet_project.api.problems import PROBLEM_JSON, problem, problem_response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(exception) if _is_api(request) else defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(exception) if _is_api(request) else defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return problem_response(Http404()) if _is_api(request) else defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    if not _is_api(request):
        return defaults.server_error(request)
    # Django has logged the exception already.
    body = problem(status=500, code="internal_error", detail="Something went wrong on our side; quote request_id.")
    return JsonResponse(body, status=500, content_type=PROBLEM_JSON)


def _is_api(request: HttpRequest) -> bool:
    try:
        return request.path_info.startswith(FAST_LANE_PREFIXES)
    except (AttributeError, SuspiciousOperation):
        return False
