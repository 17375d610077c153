"""Where the identity provider calls us: verified, stored raw, answered; a worker acts on it later."""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from compliance.services.identity_events import receive_identity_event
from wallet_project.api.parsers import MAX_BODY_BYTES, BodyTooLarge, parse_object
from wallet_project.api.problems import problem_response
from wallet_project.utils import signatures
from wallet_project.utils.errors import DomainError, NotFound


class NoProviderHere(NotFound):
    code = "no_identity_provider_configured"
    message = "No identity provider is configured to call here."


@csrf_exempt
@require_POST
def identity(request: HttpRequest) -> JsonResponse:
    """200 once the message is stored, also for a copy of it; the sender repeats anything else."""
    try:
        _receive(request)
    except (DomainError, DatabaseError) as error:
        return problem_response(error)
    return JsonResponse({"received": True})


def _receive(request: HttpRequest) -> None:
    secrets = signatures.configured_secrets(settings.IDENTITY_WEBHOOK_SECRET)
    if not secrets:
        raise NoProviderHere
    body = request.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(MAX_BODY_BYTES)
    event_id = signatures.verify(secrets=secrets, headers=request.headers, body=body)
    receive_identity_event(event_id=event_id, payload=parse_object(body))
