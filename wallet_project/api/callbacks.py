"""Where others call us: a message counts once its signature is verified, and nothing in it is believed before."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from wallet_project.api.parsers import MAX_BODY_BYTES, BodyTooLarge, parse_object
from wallet_project.utils import signatures


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """`event_id` is the sender's: the same id again is the same message again."""

    event_id: str
    payload: dict[str, Any]


def read_signed(request: HttpRequest, *, secrets: list[str]) -> SignedMessage:
    """The message that one of `secrets` signed. Raises BodyTooLarge, BadSignature, MalformedBody."""
    body = request.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    event_id = signatures.verify(secrets=secrets, headers=request.headers, body=body)
    return SignedMessage(event_id, parse_object(body))
