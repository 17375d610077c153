"""The Idempotency-Key of a POST: reading it, and the hash that tells a repeated request from another one.

Keys belong to a principal and are claimed in the same commit as what they made; that part is the services'."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson
from rest_framework.request import Request
from rest_framework.response import Response

from wallet_project.utils.errors import InvalidInput

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
MAX_KEY_LENGTH: Final = 255
# Visible ASCII: one byte a character, nothing that a log or a header would treat in its own way.
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_LENGTH}}}", re.ASCII)


class IdempotencyKeyRequired(InvalidInput):
    code = "idempotency_key_required"
    message = (
        "Send an Idempotency-Key header with a value of your own (a UUID, say), and the same value when you send "
        "this request again."
    )


class IdempotencyKeyInvalid(InvalidInput):
    code = "idempotency_key_invalid"
    message = f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} visible ASCII characters."


def idempotency_key(request: Request) -> str:
    """The request's key. Raises IdempotencyKeyRequired, IdempotencyKeyInvalid."""
    return checked_key(request.headers.get(HEADER))


def checked_key(key: str | None) -> str:
    """What the header holds, if it is a key. Raises IdempotencyKeyRequired, IdempotencyKeyInvalid."""
    if not key:
        raise IdempotencyKeyRequired()
    if not is_key(key):
        raise IdempotencyKeyInvalid()
    return key


def is_key(text: str) -> bool:
    return _KEY.fullmatch(text) is not None


def key_if_given(request: Request) -> str | None:
    """The key of a request that may come without one, as it is safe to repeat. Raises IdempotencyKeyInvalid."""
    return idempotency_key(request) if request.headers.get(HEADER) else None


def request_hash(operation: str, path_parameters: Mapping[str, Any], body: Mapping[str, Any]) -> bytes:
    """SHA-256 over what was asked. `body` is what the serializer made of it (plain values, ids, dates), so that two
    ways to write the same request are the same request."""
    canonical = orjson.dumps([operation, path_parameters, body], default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).digest()


def mark_replayed(response: Response) -> Response:
    """Say that this is the answer to an earlier request with the same key."""
    response[REPLAYED_HEADER] = "true"
    return response
