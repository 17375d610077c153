"""Where the bank calls us: verified, stored raw, answered; a worker acts on it later."""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ledger.services.events import receive_bank_event
from wallet_project.api.callbacks import read_signed
from wallet_project.api.problems import problem_response
from wallet_project.utils.errors import DomainError, NotFound
from wallet_project.utils.signatures import configured_secrets


class NoBankHere(NotFound):
    code = "no_bank_configured"
    message = "No bank is configured to call here."


@csrf_exempt
@require_POST
def bank(request: HttpRequest) -> JsonResponse:
    """200 once the message is stored, also for a copy of it; the sender repeats anything else."""
    try:
        return JsonResponse({"received": True, "new": _receive(request)})
    except (DomainError, DatabaseError) as error:
        return problem_response(error)


def _receive(request: HttpRequest) -> bool:
    secrets = configured_secrets(settings.BANK_WEBHOOK_SECRET)
    if not secrets:
        raise NoBankHere
    message = read_signed(request, secrets=secrets)
    return receive_bank_event(event_id=message.event_id, payload=message.payload)
