"""Limits of levels after the settings have changed: brought to what they say, customer by customer."""

from typing import Final

from django.db import transaction
from django.db.models import Q

from accounts import steps as accounts
from accounts.models import CustomerLevel
from accounts.states import Level
from ledger import steps
from ledger.levels import revision
from wallet_project.utils.context import system_actor

BATCH: Final = 200


def keep_level_limits(*, limit: int = BATCH) -> int:
    """Set the limits anew of up to `limit` customers whose level allows something else by now; how many. Each in a
    commit of his own: his accounts are locked for no longer than that."""
    differ = Q()
    for level in Level:
        revised = revision(level)
        differ |= Q(level=level) & (Q(limits__lt=revised) | Q(limits__gt=revised))
    behind = list(CustomerLevel.objects.filter(differ).values_list("customer_id", flat=True)[:limit])
    for customer_id in behind:
        with transaction.atomic(durable=True):
            accounts.lock_customer(customer_id)
            locked = accounts.lock_level(customer_id)
            assert locked is not None, "levels are never removed"
            # Another sweep may have been faster.
            if locked.limits != revision(locked.level):
                steps.keep_limits_of(locked, actor=system_actor(), reason="the settings have changed")
    return len(behind)
