"""How much is known of a customer: raised by a check of his documents, lowered by staff or when a document expires."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts import selectors as people
from accounts import steps as accounts
from accounts.idempotency import claim
from accounts.staff import LOWER_LEVEL, given_reason, require_colleague, require_permission
from accounts.states import KycStatus, Level
from compliance import steps
from compliance.documents import chosen, missing, usable
from compliance.models import KycCheck
from compliance.states import ACTIVE
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, Refused, TooMany, database_refusals, on_constraint
from wallet_project.utils.ids import uuid7

REQUEST_LEVEL: Final = "request_level"


class NotVerified(Conflict):
    code = "not_verified"
    message = "Your identity is verified first; request an account and wait for the result (GET /api/v1/me)."


class LevelReached(Conflict):
    code = "level_reached"
    message = "You have this level."


class LevelRequested(Conflict):
    code = "level_requested"
    message = "Your documents are being checked; wait for the result (GET /api/v1/me/level)."


class DocumentsMissing(Refused):
    """`missing`: what no document of yours shows: `identity`, `address`."""

    code = "documents_missing"
    message = "Send the documents that the level needs first (POST /api/v1/me/documents)."
    example_facts = {"missing": ["address"]}


class TooManyLevelRequests(TooMany):
    code = "too_many_level_requests"
    message = "You have asked for a level several times today; try again tomorrow."


on_constraint("kyc_check_one_at_a_time", LevelRequested)


def request_full_level(*, actor: Actor, key: str, request_hash: bytes, now: datetime) -> bool:
    """Have the customer's documents checked in the background, for the full level. True: an earlier request with the
    same key has asked for it.

    Raises NotACustomer, NotVerified, LevelReached, LevelRequested, DocumentsMissing, TooManyLevelRequests,
    IdempotencyKeyReused, RequestInProgress.
    """
    customer_id, check_id = people.customer_id_of(actor), uuid7()
    with database_refusals(), transaction.atomic(durable=True):
        earlier = claim(
            principal_id=actor.principal_id,
            key=key,
            operation=REQUEST_LEVEL,
            request_hash=request_hash,
            result_id=check_id,
        )
        if earlier is not None:
            return True
        customer = accounts.lock_customer(customer_id)
        level = accounts.lock_level(customer_id)
        if level is None or customer.kyc_status != KycStatus.VERIFIED:
            raise NotVerified
        if level.level == Level.FULL:
            raise LevelReached
        asked = KycCheck.objects.filter(customer=customer, level=Level.FULL)
        if asked.filter(status__in=ACTIVE).exists():
            raise LevelRequested
        documents = usable(customer_id)
        if lacking := missing(documents):
            raise DocumentsMissing(missing=lacking)
        if asked.filter(created_at__gt=now - timedelta(days=1)).count() >= settings.LEVEL_REQUESTS_PER_DAY:
            raise TooManyLevelRequests(retry_after=int(timedelta(hours=1).total_seconds()))
        steps.new_full_check(customer, chosen(documents), actor=actor, now=now, check_id=check_id)
    return False


def lower_level(*, customer_id: UUID, actor: Actor, reason: str, now: datetime) -> None:
    """Staff take a customer back to the basic level, whose limits hold from then on.

    Raises CustomerNotFound, PermissionMissing, AboutYourself, ReasonRequired, NotVerified, WrongState.
    """
    with transaction.atomic(durable=True):
        customer = accounts.lock_customer(customer_id)
        require_permission(actor, LOWER_LEVEL)
        require_colleague(actor, customer)
        level = accounts.lock_level(customer_id)
        if level is None:
            raise NotVerified("The customer was never verified.")
        steps.change_level(level, Level.BASIC, actor=actor, reason=given_reason(reason), now=now)
