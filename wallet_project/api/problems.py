"""Every refusal leaves the API as an RFC 9457 problem: a stable `code`, and a sentence that says what to do.

The framework's exceptions, Django's and the database's are first turned into a domain error of a family; one table
maps families to statuses.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error as DjangoDatabaseError
from django.http import Http404, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from psycopg import Error as PsycopgError
from rest_framework import exceptions
from rest_framework.response import Response

from wallet_project.utils import errors
from wallet_project.utils.context import request_id

logger = structlog.get_logger(__name__)

PROBLEM_JSON: Final = "application/problem+json"
WWW_AUTHENTICATE: Final = 'Session realm="wallet"'
_MAX_DETAIL: Final = 300
_MAX_ERRORS: Final = 100

STATUSES: Final[dict[type[errors.DomainError], int]] = {
    errors.InvalidInput: 400,
    errors.Unauthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Refused: 422,
    errors.TooMany: 429,
    errors.Unavailable: 503,
}

# The framework's own refusals, which are about the request's form and have no family in the domain.
_FRAMEWORK_CODES: Final[dict[type[exceptions.APIException], tuple[str, str]]] = {
    exceptions.MethodNotAllowed: ("method_not_allowed", "This address does not take that method; see Allow."),
    exceptions.NotAcceptable: ("not_acceptable", "The answer is JSON; send Accept: application/json."),
    exceptions.UnsupportedMediaType: (
        "unsupported_media_type",
        "Send JSON in UTF-8 (application/json); a file, as multipart/form-data.",
    ),
}
_RESERVED: Final = frozenset(("type", "title", "status", "code", "detail", "errors", "request_id"))


def status_of(error: type[errors.DomainError]) -> int:
    """The HTTP status of a domain error's family. A class outside all families is a fault of ours: 500."""
    return next((STATUSES[family] for family in error.__mro__ if family in STATUSES), 500)


def problem(
    *,
    status: int,
    code: str,
    detail: str,
    faults: Sequence[Mapping[str, str]] = (),
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The body of a problem. `facts` never replace a member of the format."""
    body: dict[str, Any] = {
        "type": f"/api/problems#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if faults:
        body["errors"] = list(faults)
    body["request_id"] = request_id.get()
    for name, fact in (facts or {}).items():
        if name not in _RESERVED:
            body[name] = _plain(fact)
    return body


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response:
    """settings.REST_FRAMEWORK["EXCEPTION_HANDLER"]. What it does not know is a 500 that says nothing."""
    body, headers = describe(error)
    return Response(body, status=body["status"], headers=headers, content_type=PROBLEM_JSON)


def problem_response(error: Exception) -> JsonResponse:
    """The same for what happens outside the framework's views (middleware, plain views, Django's error handlers)."""
    body, headers = describe(error)
    return JsonResponse(body, status=body["status"], headers=headers, content_type=PROBLEM_JSON)


def refusal_as_problem(response: HttpResponseBase) -> JsonResponse | None:
    """The problem that Django's own page or empty answer stands for; None for what is JSON or no refusal."""
    status = response.status_code
    if status < 400 or "json" in response.headers.get("Content-Type", ""):
        return None
    family = next((family for family, known in STATUSES.items() if known == status), None)
    if status == 405:
        code, detail = _FRAMEWORK_CODES[exceptions.MethodNotAllowed]
    elif status == 400 or (family is None and status < 500):
        code, detail = BadForm.code, BadForm.message
    elif family is not None:
        code, detail = family.code, family.message
    else:
        code, detail = "internal_error", "Something went wrong on our side; quote request_id."
    kept = {name: response.headers[name] for name in ("Allow", "Retry-After") if name in response.headers}
    body = problem(status=status, code=code, detail=detail)
    return JsonResponse(body, status=status, headers=kept, content_type=PROBLEM_JSON)


def describe(error: Exception) -> tuple[dict[str, Any], dict[str, str]]:
    """The problem's body and the headers that go with it."""
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error), {}
    if isinstance(error, exceptions.APIException) and type(error) in _FRAMEWORK_CODES:
        code, detail = _FRAMEWORK_CODES[type(error)]
        return problem(status=error.status_code, code=code, detail=detail), {}
    meaning = _domain_error(error)
    if meaning is None:
        logger.error("unhandled_error", exc_info=error)
        return problem(
            status=500,
            code="internal_error",
            detail="Something went wrong on our side. Nothing you sent is at fault; quote request_id when you ask us.",
        ), {}
    return _of_domain(meaning), _headers(meaning)


def _domain_error(error: Exception) -> errors.DomainError | None:
    match error:
        case errors.DomainError():
            return error
        case DjangoDatabaseError() | PsycopgError():
            meaning = errors.translate_database_error(error)
            if isinstance(meaning, errors.Unavailable):
                logger.warning("database_refused", error=type(error).__name__, code=meaning.code)
            return meaning
        case exceptions.NotAuthenticated():
            return errors.Unauthenticated()
        case exceptions.AuthenticationFailed():
            return SessionInvalid()
        case PermissionDenied() | exceptions.PermissionDenied():
            return errors.NotAllowed()
        case Http404() | exceptions.NotFound():
            return errors.NotFound()
        case exceptions.Throttled():
            return errors.TooMany(retry_after=math.ceil(getattr(error, "wait", None) or 1))
        case RequestDataTooBig():
            return errors.TooLarge()
        case UnreadablePostError():
            return IncompleteBody()
        case SuspiciousOperation() | BadRequest() | exceptions.ParseError():
            return BadForm()
        case _:
            return None


class SessionInvalid(errors.Unauthenticated):
    code = "session_invalid"
    message = "The session has ended or never was; log in again."


class BadForm(errors.InvalidInput):
    code = "bad_request"
    message = "The request is not well formed."


class IncompleteBody(errors.InvalidInput):
    code = "incomplete_body"
    message = "The body did not come, or not all of it; nothing was done. Send the same request again."


def _of_domain(error: errors.DomainError) -> dict[str, Any]:
    fields = error.fields if isinstance(error, errors.InvalidInput) else {}
    faults = [_fault((name,), error.code, detail) for name, detail in fields.items()]
    status = status_of(type(error))
    return problem(status=status, code=error.code, detail=error.message, faults=faults, facts=error.facts)


def _headers(error: errors.DomainError) -> dict[str, str]:
    if isinstance(error, errors.TooMany | errors.Unavailable) and error.retry_after is not None:
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": WWW_AUTHENTICATE}
    return {}


def _invalid(error: exceptions.ValidationError) -> dict[str, Any]:
    faults = []
    for path, detail in _leaves(error.detail, ()):
        faults.append(_fault(path, getattr(detail, "code", None) or "invalid", str(detail)))
        if len(faults) == _MAX_ERRORS:
            break
    return problem(status=400, code=errors.InvalidInput.code, detail=errors.InvalidInput.message, faults=faults)


def _fault(path: tuple[str, ...], code: str, detail: str) -> dict[str, str]:
    """One fault; `pointer` is an RFC 6901 JSON pointer into the body, empty for the body as a whole."""
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
    return {"field": ".".join(path), "pointer": pointer, "code": code, "detail": detail[:_MAX_DETAIL]}


def _leaves(detail: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _leaves(inner, path if name == "non_field_errors" else (*path, str(name)))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list | tuple)
            yield from _leaves(inner, (*path, str(index)) if nested else path)
    else:
        yield path, detail


def _plain(fact: Any) -> Any:
    """Facts are for JSON: ids and times become strings, as everywhere in the API."""
    match fact:
        case datetime():
            return fact.isoformat().replace("+00:00", "Z")
        case UUID() | date():
            return str(fact)
        case Mapping():
            return {str(name): _plain(inner) for name, inner in fact.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in fact]
        case str() | int() | float() | None:
            return fact
        case _:
            return str(fact)
