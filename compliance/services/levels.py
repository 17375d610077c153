"""How much is known of a customer: raised by a check of his documents, lowered by staff or when a document expires."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts import steps as accounts
from accounts.staff import LOWER_LEVEL, given_reason, require_colleague, require_permission
from accounts.states import Level
from compliance import steps
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict


class NotVerified(Conflict):
    code = "not_verified"
    message = "Your identity is verified first; request an account and wait for the result (GET /api/v1/me)."


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
