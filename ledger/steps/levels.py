"""What a customer may send to others because of his level."""

from uuid import UUID

from accounts.models import CustomerLevel
from accounts.states import Level
from ledger import posting
from ledger.levels import Allowed, allowed, revision
from ledger.models import Limit
from ledger.states import LimitDirection, LimitScope
from ledger.steps.context import assert_open
from wallet_project.utils.context import Actor, request_id


def set_level_limits(customer_id: UUID, level: Level, *, actor: Actor, reason: str) -> str:
    """Set the limits of a level, beside those of staff; which ones they are, for `CustomerLevel.limits`.

    The customer is locked, and none of his accounts yet: they are locked here, all of them in order of their ids. What
    he has sent in the last 30 days counts at once.
    """
    assert_open()
    wanted = allowed(level)
    rows = Limit.objects.filter(owner_id=customer_id, direction=LimitDirection.OUT)
    present = {
        row.currency: Allowed(row.level_per_transaction, row.level_per_day, row.level_per_30_days) for row in rows
    }
    for currency in sorted({*wanted, *present}):
        limits = wanted.get(currency, Allowed())
        if limits == present.get(currency, Allowed()):
            continue
        posting.set_limit(
            owner_id=customer_id,
            scope=LimitScope.LEVEL,
            direction=LimitDirection.OUT,
            currency=currency,
            per_transaction=limits.per_transaction,
            per_day=limits.per_day,
            per_30_days=limits.per_30_days,
            actor=actor,
            reason=f"level {level}: {reason}",
            request_id=request_id.get(),
        )
    return revision(level)


def keep_limits_of(level: CustomerLevel, *, actor: Actor, reason: str) -> None:
    """Bring the limits of a locked level to what it is now."""
    level.limits = set_level_limits(level.customer_id, Level(level.level), actor=actor, reason=reason)
    level.save(update_fields=["limits"])
