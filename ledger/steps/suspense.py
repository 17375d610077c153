"""Money that the bank has moved and that belongs to nothing we asked for."""

import hashlib
from typing import Literal
from uuid import UUID

from accounts.selectors import system_account_id
from accounts.states import SystemPurpose
from ledger import posting
from ledger.models import RailTransfer, Transaction
from ledger.posting import Leg
from ledger.states import EscalationKind, TransactionKind
from ledger.steps.context import assert_open
from ledger.steps.escalations import escalate
from wallet_project.utils.context import request_id, system_actor
from wallet_project.utils.ids import uuid7

BankDirection = Literal["in", "out"]


def post_to_suspense(
    *, key: str, direction: BankDirection, amount: int, currency: str, bank_key: str, why: str
) -> tuple[UUID, bool]:
    """Book money that moved at the bank and belongs to no transaction: `in` from settlement to suspense, `out` back.

    `amount` is in minor units; `bank_key` is the reference under which the bank's statement has it. The adjustment is
    cleared in this same commit. Posted once per `key`: returns its id, and whether it was this call that made it.
    Raises IdempotencyKeyReused (the key was used for another amount), Account.DoesNotExist (no such currency is kept).
    """
    assert_open()
    settlement = system_account_id(SystemPurpose.SETTLEMENT, currency)
    suspense = system_account_id(SystemPurpose.SUSPENSE, currency)
    debit, credit = (settlement, suspense) if direction == "in" else (suspense, settlement)
    leg = Leg(
        id=uuid7(),
        kind=TransactionKind.ADJUSTMENT,
        debit=debit,
        credit=credit,
        amount=amount,
        currency=currency,
        metadata={"bank_key": bank_key, "why": why},
    )
    asked = f"{direction} {amount} {currency} {bank_key}"
    posted = posting.post_pending(
        actor=system_actor(),
        legs=[leg],
        key=key,
        operation="adjustment",
        request_hash=hashlib.sha256(asked.encode()).digest(),
        request_id=request_id.get(),
    )
    adjustment = posted.transactions[0]
    if posted.outcome == "replayed":
        return adjustment.id, False
    # The wallet's own correction of its books is not screened: nobody asked for it, and no customer's money moves.
    posting.approve([adjustment.id])
    verdicts = posting.clear(limit=1, actor=system_actor(), request_id=request_id.get(), only=[adjustment.id])
    assert verdicts == [(adjustment.id, "cleared")], "the wallet's own accounts are open"
    return adjustment.id, True


def divert_to_suspense(deposit: Transaction | None, rail: RailTransfer, *, why: str) -> None:
    """The money of a deposit that the bank has collected and that is about to fail: book it, and ask a human whose it
    is. Before it fails, for `ledger_fail` lets no collected money go unaccounted for."""
    assert deposit is not None, "a rail transfer has a transaction"
    adjustment, made = post_to_suspense(
        key=f"bank-payment-{rail.key}",
        direction="in",
        amount=deposit.amount,
        currency=deposit.currency,
        bank_key=rail.key,
        why=why,
    )
    if made:
        escalate(
            kind=EscalationKind.UNMATCHED_MONEY,
            subject_type="transaction",
            subject_id=adjustment,
            transaction_id=adjustment,
            details={"why": why, "deposit": str(deposit.id), "amount": deposit.amount, "currency": deposit.currency},
        )
