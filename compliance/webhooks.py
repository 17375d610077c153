"""Where the identity provider calls us: verified, stored raw, answered; a worker acts on it later."""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from compliance.services.identity_events import receive_identity_event
from wallet_project.api.callbacks import read_signed
from wallet_project.api.problems import problem_response
from wallet_project.utils.errors import DomainError, NotFound
from wallet_project.utils.signatures import configured_secrets


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
    secrets = configured_secrets(settings.IDENTITY_WEBHOOK_SECRET)
    if not secrets:
        raise NoProviderHere
    message = read_signed(request, secrets=secrets)
    receive_identity_event(event_id=message.event_id, payload=message.payload)
