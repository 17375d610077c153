"""Holds: what their payee, their payer and the clock can do to them. The functions are in ledger/sql/holds.sql."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal
from uuid import UUID

from ledger.posting.calls import rows
from wallet_project.utils.context import Actor
from wallet_project.utils.errors import Conflict, NotFound, Refused, database_refusals, on_sqlstate


class HoldNotFound(NotFound):
    code = "hold_not_found"
    message = "There is no such hold, or it is not yours."


class NotAHold(Conflict):
    code = "not_a_hold"
    message = "This was not asked for as a hold (capture: manual): it clears by itself."


class AlreadyCaptured(Conflict):
    """`captured_amount`: minor units."""

    code = "already_captured"
    message = "The hold was captured before; that is done once. What was taken too much goes back by a reversal."
    example_facts: ClassVar[Mapping[str, Any]] = {"captured_amount": 1500}


class AlreadyVoided(Conflict):
    code = "already_voided"
    message = "The hold was released by its payee."


class HoldExpired(Conflict):
    code = "hold_expired"
    message = "The hold was not captured in time; its funds are with the payer again. Ask for a new one."


class HoldNotReady(Conflict):
    code = "hold_not_ready"
    message = "The hold can't be captured at present: it is being processed, or has ended. Look at its status."


class CaptureExceedsHold(Refused):
    """`amount`: of the hold, in minor units."""

    code = "capture_exceeds_hold"
    message = "A capture takes the amount of the hold at most."
    example_facts: ClassVar[Mapping[str, Any]] = {"amount": 2000}


class HoldNotExpired(Conflict):
    """`expires_at`: until then only its payee can release it."""

    code = "hold_not_expired"
    message = "Its payee may capture the hold until it expires; ask the payee to release it, or wait."
    example_facts: ClassVar[Mapping[str, Any]] = {"expires_at": "2026-11-29T09:00:00+00:00"}


on_sqlstate("WL030", HoldNotFound)
on_sqlstate("WL031", NotAHold)
on_sqlstate("WL032", AlreadyCaptured)
on_sqlstate("WL033", AlreadyVoided)
on_sqlstate("WL034", HoldExpired)
on_sqlstate("WL035", HoldNotReady)
on_sqlstate("WL036", CaptureExceedsHold)
on_sqlstate("WL037", HoldNotExpired)


def capture(
    *,
    actor: Actor,
    transaction_id: UUID,
    amount: int | None,
    key: str | None,
    request_hash: bytes,
    request_id: str,
) -> Literal["captured", "replayed"]:
    """Let the payee take `amount` (minor units; None: all) of a hold, once; the rest is released at once.

    The same again with the same key, or without a key, is `replayed`. Raises HoldNotFound, NotAHold, AlreadyCaptured,
    AlreadyVoided, HoldExpired, HoldNotReady, CaptureExceedsHold, IdempotencyKeyReused.
    """
    with database_refusals():
        found = rows(
            "SELECT ledger_capture(%s, %s, %s, %s, %s, %s, %s)",
            [actor.principal_id, actor.customer_id, key, request_hash, transaction_id, amount, request_id],
        )
    outcome: Literal["captured", "replayed"] = found[0][0]
    return outcome


def void(*, actor: Actor, transaction_id: UUID, request_id: str) -> str:
    """Release a hold: the payee at any time, the payer once it has expired. Returns the failure that it has ended with,
    also when that was before. Raises HoldNotFound, NotAHold, AlreadyCaptured, HoldNotExpired."""
    with database_refusals():
        found = rows(
            "SELECT ledger_void(%s, %s, %s, %s)",
            [actor.principal_id, actor.customer_id, transaction_id, request_id],
        )
    failure: str = found[0][0]
    return failure


def expire(*, limit: int, actor: Actor, request_id: str, only: Sequence[UUID] | None = None) -> list[UUID]:
    """End up to `limit` holds whose time is over (or just those in `only`), and release what they reserved. Returns
    their units."""
    return [
        row[0]
        for row in rows(
            "SELECT ledger_expire(%s, %s, %s, %s)",
            [limit, None if only is None else list(only), actor.principal_id, request_id],
        )
    ]


# What ledger_expire would take up.
_EXPIRED: Final = """
    SELECT coalesce(t.group_id, t.id) FROM ledger_transaction t
    WHERE t.status = 'pending' AND t.kind <> 'fee' AND t.captured_at IS NULL AND t.expires_at <= now()
        AND NOT EXISTS (
            SELECT FROM ledger_escalation e
            WHERE e.kind = 'poisoned_unit' AND e.subject_id = t.id::text AND e.status = 'open'
                AND e.details ->> 'at' = 'expiry')
    ORDER BY t.expires_at LIMIT %s"""


def expired(*, limit: int) -> list[UUID]:
    """Units of holds whose time is over, without a lock: what a failed batch is cut into."""
    return [row[0] for row in rows(_EXPIRED, [limit])]
