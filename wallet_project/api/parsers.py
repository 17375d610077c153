"""A JSON parser that takes what RFC 8259 says, and less: nothing that two readers could read differently.

Duplicate keys, NaN, numbers beyond a bigint, lone surrogates, NUL and deep nesting are where parsers disagree or
fall over; a body with any of these is refused before a serializer sees it.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from wallet_project.utils.errors import InvalidInput, TooLarge

MAX_DEPTH: Final = 20
MAX_BODY_BYTES: Final = 64 * 1024
# Nineteen digits hold every bigint; the fields set the narrower limits.
_MAX_DIGITS: Final = 19

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class MalformedBody(InvalidInput):
    code = "malformed_body"
    message = "The body is not the JSON object that was expected."


class BodyTooLarge(TooLarge):
    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.", limit_bytes=limit)


class StrictJSONParser(BaseParser):
    """A view takes larger bodies by its attribute `max_body_bytes`."""

    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Raises MalformedBody, BodyTooLarge, UnsupportedMediaType (a charset other than UTF-8)."""
        context = parser_context or {}
        if str(context.get("encoding", "utf-8")).lower() not in ("utf-8", "utf8"):
            raise UnsupportedMediaType(media_type or "", detail="JSON is sent in UTF-8.")
        limit = getattr(context.get("view"), "max_body_bytes", MAX_BODY_BYTES)
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(limit)
        return parse_object(body)


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises MalformedBody with a sentence that says what is wrong and quotes nothing."""
    _refuse_depth(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise MalformedBody(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    if not isinstance(value, dict):
        raise MalformedBody("The body is not a JSON object.")
    # Only an escape can bring a NUL or half a surrogate pair past the decoder.
    if b"\\u" in body:
        _refuse_unstorable_text(value)
    return value


def _refuse_depth(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedBody(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedBody("The body names the same member twice.")
    return members


def _refuse_constant(_name: str) -> None:
    raise MalformedBody("NaN and Infinity are not JSON.")


def _bounded_int(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise MalformedBody("The body has a number that is too large.")
    return int(digits)


def _finite_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedBody("The body has a number that is too large.")
    return number


def _refuse_unstorable_text(value: Any) -> None:
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_unstorable_text(name)
            _refuse_unstorable_text(member)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable_text(item)
    elif isinstance(value, str):
        if "\x00" in value:
            raise MalformedBody("The body has a NUL character.")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise MalformedBody("The body has half of a surrogate pair.") from None
