"""What an identity provider calls us about: stored raw and once, then a reason to ask it.

An event is never believed. It makes its check due, and the provider is asked what became of it; so a forged, late or
repeated one costs a question and changes nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from compliance.models import InboundEvent, KycCheck
from compliance.states import CheckStatus
from wallet_project.utils.errors import InvalidInput
from wallet_project.utils.nudges import nudge

BATCH: Final = 200
_PREFIX: Final = "kyc-"
_ID_LENGTH: Final = 128


class EventIdTooLong(InvalidInput):
    code = "event_id_too_long"
    message = f"An event's id has at most {_ID_LENGTH} characters."


def receive_identity_event(*, event_id: str, payload: Mapping[str, Any]) -> None:
    """Keep an event that was found to be signed, once; `event_id` is the sender's. Raises EventIdTooLong."""
    if len(event_id) > _ID_LENGTH:
        raise EventIdTooLong
    with transaction.atomic(durable=True):
        event = InboundEvent(event_id=event_id, kind=str(payload.get("type", ""))[:64], payload=dict(payload))
        # No look before the leap: the unique key decides between two that come at once.
        InboundEvent.objects.bulk_create([event], ignore_conflicts=True)
        nudge("compliance.check_answered")


def process_identity_events(*, now: datetime, limit: int = BATCH) -> int:
    """Make the checks due that events speak of; how many events were seen to."""
    with transaction.atomic(durable=True):
        events = list(
            InboundEvent.objects.filter(next_at__lte=now)
            .order_by("next_at")
            .select_for_update(no_key=True, skip_locked=True)[:limit]
        )
        running = KycCheck.objects.filter(
            id__in={check_id for event in events if (check_id := _check_id(event.payload))}, status=CheckStatus.RUNNING
        )
        waiting = {check.id for check in running.order_by("id").select_for_update(no_key=True)}
        KycCheck.objects.filter(id__in=waiting).update(next_at=now)
        for event in events:
            event.next_at, event.processed_at = None, now
            event.attempts += 1
            event.last_error = "" if _check_id(event.payload) in waiting else "no check of ours waits for this"
        InboundEvent.objects.bulk_update(events, ["next_at", "processed_at", "attempts", "last_error"])
        if waiting:
            nudge("accounts.identity_wanted")
        if len(events) == limit:
            nudge("compliance.check_answered")
    return len(events)


def _check_id(payload: Mapping[str, Any]) -> UUID | None:
    data = payload.get("data")
    reference = data.get("reference") if isinstance(data, dict) else None
    if not isinstance(reference, str) or not reference.startswith(_PREFIX):
        return None
    try:
        return UUID(reference.removeprefix(_PREFIX))
    except ValueError:
        return None
