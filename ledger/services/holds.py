"""Holds: a transfer that its payee captures, in full or in part and once, or voids; otherwise it expires.

What of the amount is not captured is the payer's again at once; what is captured is posted by the next clearing.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import structlog
from django.db import DatabaseError, transaction
from django.db.models import Q

from accounts.idempotency import IdempotencyKeyReused
from accounts.selectors import customer_id_of
from ledger import posting, steps
from ledger.models import Transaction
from ledger.selectors import TransactionView
from ledger.services.requests import Accepted, TransactionNotFound, see
from ledger.states import EscalationKind
from wallet_project.utils.context import Actor, request_id, system_actor
from wallet_project.utils.errors import Unavailable, translate_database_error
from wallet_project.utils.nudges import nudge

logger = structlog.get_logger(__name__)

#: How long a hold may be asked for, in seconds, and how long it lasts when nothing is said: a minute, 30 days, 7 days.
MIN_SECONDS: Final = 60
MAX_SECONDS: Final = 30 * 24 * 3600
DEFAULT_SECONDS: Final = 7 * 24 * 3600
#: A batch holds the locks of its payers' accounts for its whole length.
BATCH: Final = 200

CAPTURE_REFUSALS: Final = (
    posting.HoldNotFound,
    TransactionNotFound,
    posting.NotAHold,
    posting.HoldNotReady,
    posting.AlreadyCaptured,
    posting.AlreadyVoided,
    posting.HoldExpired,
    posting.CaptureExceedsHold,
    IdempotencyKeyReused,
)
VOID_REFUSALS: Final = (
    posting.HoldNotFound,
    posting.NotAHold,
    posting.HoldNotExpired,
    posting.AlreadyCaptured,
)


def capture(
    *, actor: Actor, transaction_id: UUID, amount: int | None = None, key: str | None = None, request_hash: bytes
) -> Accepted:
    """Take `amount` (minor units; all of it when None) of a hold, as its payee. The same again is the same answer.

    Raises NotACustomer and the CAPTURE_REFUSALS.
    """
    customer_id_of(actor)
    try:
        outcome = posting.capture(
            actor=actor,
            transaction_id=transaction_id,
            amount=amount,
            key=key,
            request_hash=request_hash,
            request_id=request_id.get(),
        )
    except posting.NotAHold:
        # An ordinary transfer is nothing to its receiver before it has cleared.
        see(actor=actor, transaction_id=transaction_id)
        raise
    if outcome == "captured":
        nudge("ledger.transaction_approved")
    replayed = key is not None and outcome == "replayed"
    return Accepted(see(actor=actor, transaction_id=transaction_id), replayed=replayed)


def void(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """Release a hold: its payee at any time before he captures it, its payer once it has expired. What is released
    already stays so.

    Raises NotACustomer and the VOID_REFUSALS.
    """
    customer_id_of(actor)
    posting.void(actor=actor, transaction_id=transaction_id, request_id=request_id.get())
    return see(actor=actor, transaction_id=transaction_id)


def expire_due(*, limit: int = BATCH) -> int:
    """End up to `limit` holds whose time is over and release what they reserved. Returns how many were over.

    A batch that the database refuses is halved until the bad one stands alone; that one is set aside for a human.
    Raises the database's error when it is a passing one: everything was undone, and the sweep comes again.
    """
    try:
        return _expire(limit=limit)
    except DatabaseError as error:
        _raise_if_passing(error)
        logger.warning("expiry_batch_refused", error=type(error).__name__)
    units = posting.expired(limit=limit)
    _expire_halves(units)
    return len(units)


def _expire(*, limit: int, only: Sequence[UUID] | None = None) -> int:
    with transaction.atomic(durable=True):
        return len(posting.expire(limit=limit, actor=system_actor(), request_id=request_id.get(), only=only))


def _expire_halves(units: Sequence[UUID]) -> None:
    if not units:
        return
    try:
        _expire(limit=len(units), only=units)
    except DatabaseError as error:
        _raise_if_passing(error)
        if len(units) == 1:
            _set_aside(units[0], error)
            return
        middle = len(units) // 2
        _expire_halves(units[:middle])
        _expire_halves(units[middle:])


def _set_aside(unit: UUID, error: DatabaseError) -> None:
    logger.error("unit_poisoned", unit=str(unit), error=type(error).__name__)
    with transaction.atomic(durable=True):
        if unit not in steps.park([unit], error=str(error)):
            return
        first = Transaction.objects.filter(Q(id=unit) | Q(group_id=unit)).order_by("id")[0]
        steps.escalate(
            kind=EscalationKind.POISONED_UNIT,
            subject_type="transaction",
            subject_id=first.id,
            transaction_id=first.id,
            details={"at": "expiry", "error": str(error)[:500]},
        )


def _raise_if_passing(error: DatabaseError) -> None:
    """A timeout, a deadlock, a server that went away: the database undid it all, and later it may well work."""
    if isinstance(translate_database_error(error), Unavailable):
        raise error
