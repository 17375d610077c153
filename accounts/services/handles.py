"""Handles: names by which customers are found and paid. Each use case opens the one durable transaction.

Who looks a payee up and then sends to the handle reaches the same person or nobody: a handle that was given up leads
nowhere until it has rested for two years (accounts/sql/payees.sql).
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from accounts import selectors, steps
from accounts.handles import claimable
from accounts.models import Customer, Handle
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, TooMany, database_refusals, on_constraint
from wallet_project.utils.transitions import born, move

_YEAR: Final = timedelta(days=365)


class HandleTaken(Conflict):
    code = "handle_taken"
    message = "Somebody has this handle, or had it not long ago; choose another one."


class TooManyHandleChanges(TooMany):
    code = "too_many_handle_changes"
    message = "You have changed your handle as often as may be within a year."


on_constraint("handle_belongs_to_one_customer", HandleTaken)
on_constraint("handle_rests_before_it_changes_hands", HandleTaken)


def claim_handle(*, actor: Actor, handle: str, now: datetime) -> Handle:
    """Let the customer be found by `handle` from now on; one that he held before is given up, the same stays his.

    Raises NotACustomer, HandleInvalid, HandleReserved, HandleTaken, TooManyHandleChanges.
    """
    customer_id = selectors.customer_id_of(actor)
    name = claimable(handle)
    with database_refusals(), transaction.atomic(durable=True):
        customer = steps.lock_customer(customer_id)
        held = selectors.handle_of(customer_id)
        if held is not None and held.handle == name:
            return held
        _refuse_too_many_changes(customer_id, now=now)
        if held is not None:
            _give_up(held, customer, actor=actor)
        claimed = Handle.objects.create(customer=customer, handle=name)
        born(claimed, actor=actor)
        selectors.forget_me(customer.user_id)
    return claimed


def give_up_handle(*, actor: Actor) -> None:
    """Let the customer be found by no handle any more; without one it is as he wants it. Raises NotACustomer."""
    customer_id = selectors.customer_id_of(actor)
    with transaction.atomic(durable=True):
        customer = steps.lock_customer(customer_id)
        held = selectors.handle_of(customer_id)
        if held is not None:
            _give_up(held, customer, actor=actor)


def _give_up(held: Handle, customer: Customer, *, actor: Actor) -> None:
    held.given_up_at = Now()
    move(held, "give_up", actor=actor, also=["given_up_at"])
    selectors.forget_me(customer.user_id)


def _refuse_too_many_changes(customer_id: UUID, *, now: datetime) -> None:
    # Good names are few, and each one that is given up is lost to all others for years.
    within_a_year = Handle.objects.filter(customer_id=customer_id, claimed_at__gt=now - _YEAR)
    claimed = list(within_a_year.order_by("-claimed_at").values_list("claimed_at", flat=True))
    limit = settings.HANDLE_CLAIMS_PER_YEAR
    if len(claimed) >= limit:
        # When the oldest of those that count is a year old, one more fits.
        free_at = claimed[limit - 1] + _YEAR
        raise TooManyHandleChanges(retry_after=max(1, int((free_at - now).total_seconds())), limit=limit)
