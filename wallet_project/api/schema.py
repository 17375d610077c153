"""What the API's document says beyond what the framework can see: refusals, keys, tokens, strictness.

A view says which domain errors its methods can give with `@raises(InsufficientFunds, …)`, and that a POST takes an
Idempotency-Key with `@keyed` or `@may_be_keyed`. What every endpoint can give (401, 429, 503, …) is added by itself.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny

from wallet_project.api.authentication import HEADER as TOKEN_HEADER
from wallet_project.api.bodies import LengthRequired
from wallet_project.api.idempotency import (
    HEADER,
    MAX_KEY_LENGTH,
    REPLAYED_HEADER,
    IdempotencyKeyInvalid,
    IdempotencyKeyRequired,
)
from wallet_project.api.pagination import BadCursor, BadPageSize
from wallet_project.api.parsers import BodyTooLarge, MalformedBody
from wallet_project.api.problems import PROBLEM_JSON, BadForm, IncompleteBody, SessionInvalid, problem, status_of
from wallet_project.api.queries import RepeatedParameter, UnknownParameter
from wallet_project.api.serializers import StrictSerializer
from wallet_project.utils import errors

Method = TypeVar("Method", bound=Callable[..., Any])
Schema = dict[str, Any]

_PROBLEM_REF: Final = {"$ref": "#/components/schemas/Problem"}
_BODY_METHODS: Final = ("POST", "PUT", "PATCH")
_TITLES: Final = {
    400: "The request is not valid.",
    401: "Nobody is logged in.",
    403: "Not allowed.",
    404: "Not there, or not yours.",
    406: "The answer is JSON.",
    409: "Not possible in the present state.",
    413: "The body is too large.",
    415: "The body is not of the type that is taken.",
    422: "Understood, and refused.",
    429: "Too many requests; see Retry-After.",
    500: "A fault of ours.",
    503: "Nothing was done; send the same request again. See Retry-After.",
}
# What the framework refuses itself: status, code and sentence as `problems` words them.
_BY_FRAMEWORK: Final = {
    406: ("not_acceptable", "The answer is JSON; send Accept: application/json."),
    415: ("unsupported_media_type", "Send JSON in UTF-8 (application/json); a file, as multipart/form-data."),
    500: ("internal_error", "Something went wrong on our side."),
}


class Refusal(NamedTuple):
    code: str
    sentence: str
    facts: Mapping[str, Any]

    def example(self, status: int) -> Schema:
        body = problem(status=status, code=self.code, detail=self.sentence, facts=self.facts)
        return {**body, "request_id": "0198f3a0"}


def raises(*domain_errors: type[errors.DomainError]) -> Callable[[Method], Method]:
    """Document that the view's method may be refused with these."""

    def mark(method: Method) -> Method:
        method.domain_errors = (*getattr(method, "domain_errors", ()), *domain_errors)  # type: ignore[attr-defined]
        return method

    return mark


def keyed(method: Method) -> Method:
    """Document that the view's method reads an Idempotency-Key."""
    method.idempotency_key = "required"  # type: ignore[attr-defined]
    return raises(IdempotencyKeyRequired, IdempotencyKeyInvalid)(method)


def may_be_keyed(method: Method) -> Method:
    """Document that the view's method reads an Idempotency-Key if there is one, and is safe to repeat without."""
    method.idempotency_key = "optional"  # type: ignore[attr-defined]
    return raises(IdempotencyKeyInvalid)(method)


class WalletSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if key := self._takes_key():
            parameters.append(
                OpenApiParameter(
                    HEADER,
                    OpenApiTypes.STR,
                    OpenApiParameter.HEADER,
                    required=key == "required",
                    pattern=rf"^[\x21-\x7e]{{1,{MAX_KEY_LENGTH}}}$",
                    description="A value of your own for this request; send the same one when you send it again.",
                )
            )
        return parameters

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Schema:
        responses: Schema = super()._get_response_bodies(direction)
        if direction != "response":
            return responses
        for status, domain_errors in sorted(self._problems().items()):
            responses.setdefault(str(status), _response(status, domain_errors))
        return responses

    def _get_response_headers_for_code(
        self, status_code: str, direction: Literal["request", "response"] = "response"
    ) -> Schema:
        headers: Schema = super()._get_response_headers_for_code(status_code, direction)
        if direction == "response" and self._takes_key() and status_code.startswith("2"):
            headers[REPLAYED_HEADER] = {
                "schema": {"type": "string", "enum": ["true"]},
                "description": "Present when this answers an earlier request with the same key.",
            }
        return headers

    def _map_serializer_field(self, field: Any, direction: str, bypass_extensions: bool = False) -> Schema:
        schema: Schema = super()._map_serializer_field(field, direction, bypass_extensions)  # type: ignore[no-untyped-call]
        # Without a format, generated clients take 32 bits, which is 21 million euros.
        if schema.get("type") in ("integer", ["integer", "null"]):
            schema.setdefault("format", "int64")
        return schema

    def _map_basic_serializer(self, serializer: Any, direction: str) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if not type(serializer).__doc__:
            # The base's docstring is for whoever writes the next serializer.
            schema.pop("description", None)
        if direction == "request" and isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _filters(self) -> bool:
        return bool(getattr(self.view, "filter_backends", ()) or self.get_override_parameters())

    def _takes_key(self) -> str:
        key: str = getattr(self._handler(), "idempotency_key", "")
        return key

    def _handler(self) -> Any:
        name = getattr(self.view, "action", None) or self.method.lower()
        return getattr(self.view, name, None)

    def _takes_body(self) -> bool:
        return self.method in _BODY_METHODS and self.get_request_serializer() is not None

    def _problems(self) -> dict[int, list[Refusal]]:
        """Each problem, by status."""
        found: dict[int, dict[str, Refusal]] = defaultdict(dict)
        for error in (*self._implied(), *getattr(self._handler(), "domain_errors", ())):
            found[status_of(error)][error.code] = Refusal(error.code, error.message, error.example_facts)
        statuses = [406, 500, *([415] if self._takes_body() else [])]
        for status in statuses:
            code, sentence = _BY_FRAMEWORK[status]
            found[status][code] = Refusal(code, sentence, {})
        return {status: list(refusals.values()) for status, refusals in found.items()}

    def _implied(self) -> Iterable[type[errors.DomainError]]:
        yield from (errors.TooBusy, errors.DatabaseUnavailable, errors.DatabaseBusy)
        if self.view.get_throttles():
            yield errors.TooMany
        if not any(isinstance(permission, AllowAny) for permission in self.view.get_permissions()):
            yield from (errors.Unauthenticated, SessionInvalid)
        if self._takes_body():
            yield from (errors.InvalidInput, BadForm, MalformedBody, LengthRequired, IncompleteBody, BodyTooLarge)
        if "{" in self.path:
            yield errors.NotFound
        if self._is_list_view() and self._get_paginator():  # type: ignore[no-untyped-call]
            yield from (BadForm, BadCursor, BadPageSize, UnknownParameter, RepeatedParameter)
            if self._filters():
                yield errors.InvalidInput


def _response(status: int, refusals: list[Refusal]) -> Schema:
    codes = [refusal.code for refusal in refusals]
    named = {"type": "object", "properties": {"code": {"type": "string", "enum": codes}}}
    headers: Schema = {"X-Request-ID": {"schema": {"type": "string"}}}
    if status in (429, 503):
        headers["Retry-After"] = {"schema": {"type": "integer"}, "description": "Seconds."}
    return {
        "description": _TITLES.get(status, ""),
        "headers": headers,
        "content": {
            PROBLEM_JSON: {
                "schema": {"allOf": [_PROBLEM_REF, named]},
                "examples": {refusal.code: {"value": refusal.example(status)} for refusal in refusals},
            }
        },
    }


def add_problem_schema(result: Schema, **_: Any) -> Schema:
    """Post-processing hook of drf-spectacular: the component that every refusal refers to."""
    string = {"type": "string"}
    result.setdefault("components", {}).setdefault("schemas", {})["Problem"] = {
        "type": "object",
        "description": "RFC 9457. Members beyond these are facts about the refusal.",
        "required": ["type", "title", "status", "code", "detail", "request_id"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": string,
            "status": {"type": "integer"},
            "code": {"type": "string", "description": "Stable; decide by this."},
            "detail": {"type": "string", "description": "What happened and what to do, for people."},
            "request_id": {"type": "string", "description": "Quote it when you ask us."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "pointer", "code", "detail"],
                    "properties": {
                        "field": string,
                        "pointer": {"type": "string", "description": "RFC 6901, into the body."},
                        "code": string,
                        "detail": string,
                    },
                },
            },
        },
        "additionalProperties": True,
    }
    return result


def share_responses(result: Schema, **_: Any) -> Schema:
    """Post-processing hook: a refusal that several operations give in the same words stands in the document once.

    Of each status the most common one is Refused400, the next Refused400_2, and so on."""
    refusals = [
        (responses, status, json.dumps(response))
        for methods in result["paths"].values()
        for responses in (operation["responses"] for operation in methods.values())
        for status, response in responses.items()
        if PROBLEM_JSON in response.get("content", {})
    ]
    times = Counter(text for _, _, text in refusals)
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for responses, status, text in sorted(refusals, key=lambda refusal: -times[refusal[2]]):
        if times[text] == 1:
            continue
        if text not in names:
            taken[status] += 1
            names[text] = f"Refused{status}" if taken[status] == 1 else f"Refused{status}_{taken[status]}"
        responses[status] = {"$ref": f"#/components/responses/{names[text]}"}
    shared = {name: json.loads(text) for text, name in names.items()}
    result["components"]["responses"] = dict(sorted(shared.items()))
    return result


def share_examples(result: Schema, **_: Any) -> Schema:
    """Post-processing hook, after `share_responses`: what a refusal looks like stands in the document once."""
    examples: dict[str, Schema] = {}
    operations = [operation for methods in result["paths"].values() for operation in methods.values()]
    answers = [answer for operation in operations for answer in operation["responses"].values()]
    for answer in (*answers, *result["components"]["responses"].values()):
        told = answer.get("content", {}).get(PROBLEM_JSON, {}).get("examples", {})
        for code, example in told.items():
            if examples.setdefault(code, example) == example:
                told[code] = {"$ref": f"#/components/examples/{code}"}
    result["components"]["examples"] = dict(sorted(examples.items()))
    return result


class TextFieldShape(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "wallet_project.api.fields.TextField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Literal["request", "response"]) -> Schema:
        field = self.target
        shape: Schema = {"type": "string"}
        if field.choices:
            return {**shape, "enum": list(field.choices)}
        if least := field.min_length or (0 if field.allow_blank else 1):
            shape["minLength"] = least
        if field.pattern:
            shape["pattern"] = f"^{field.pattern.pattern}$"
        return {**shape, "maxLength": field.max_length}


class WholeNumberFieldShape(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "wallet_project.api.fields.WholeNumberField"

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Literal["request", "response"]) -> Schema:
        return {"type": "integer", "format": "int64", "minimum": self.target.least, "maximum": self.target.most}


class SessionTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "wallet_project.api.authentication.SessionTokenAuthentication"
    name = "SessionToken"

    def get_security_definition(self, auto_schema: AutoSchema) -> Schema:
        return {
            "type": "apiKey",
            "in": "header",
            "name": TOKEN_HEADER,
            "description": "From `meta.session_token` of the login's or sign-up's answer.",
        }
