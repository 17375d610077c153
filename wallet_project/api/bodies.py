"""Bodies whose length the caller did not tell."""

import io

from django.http import HttpRequest, JsonResponse

from wallet_project.api.parsers import MAX_BODY_BYTES, BodyTooLarge
from wallet_project.api.problems import BadForm, problem_response
from wallet_project.utils.errors import InvalidInput


class LengthRequired(InvalidInput):
    code = "length_required"
    message = "Send the body with a Content-Length."


def take_unmeasured_body(request: HttpRequest) -> JsonResponse | None:
    """Django reads a body without Content-Length as an empty one: a chunked transfer (or HTTP/2) would arrive as `{}`.
    Read it here, up to the limit, where the server says where it ends; refuse it otherwise."""
    length = request.META.get("CONTENT_LENGTH", "")
    if length and not (length.isascii() and length.isdigit()):
        return problem_response(BadForm())
    if length or request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    source = request.META.get("wsgi.input")
    if source is None or not request.META.get("wsgi.input_terminated"):
        chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
        return problem_response(LengthRequired()) if chunked else None
    body = source.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        return problem_response(BodyTooLarge(MAX_BODY_BYTES))
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)
    return None
