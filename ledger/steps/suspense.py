"""Money that the bank has moved and that belongs to nothing we asked for."""

import hashlib
from typing import Literal
from uuid import UUID

from accounts.selectors import system_account_id
from accounts.states import SystemPurpose
from ledger import posting
from ledger.models import Adjustment, Escalation, RailTransfer, Transaction
from ledger.posting import Leg
from ledger.states import AdjustmentKind, EscalationKind, TransactionKind
from ledger.steps.context import assert_open
from ledger.steps.escalations import escalate
from ledger.suspense import ITEM, PAYER, item_of, open_amount
from wallet_project.utils.context import request_id, system_actor
from wallet_project.utils.ids import uuid7

BankDirection = Literal["in", "out"]


def post_to_suspense(
    *,
    key: str,
    direction: BankDirection,
    amount: int,
    currency: str,
    bank_key: str,
    why: str,
    item: UUID | None = None,
) -> tuple[UUID, bool]:
    """Book money that moved at the bank and belongs to no transaction: `in` from settlement to suspense, `out` back.

    `amount` is in minor units; `bank_key` is the reference under which the bank's statement has it. It begins an item
    of its own in suspense, unless it belongs to another `item`. The adjustment is cleared in this same commit. Posted
    once per `key`: returns its id, and whether it was this call that made it.
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
        metadata={"bank_key": bank_key, "why": why, **({ITEM: str(item)} if item else {})},
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
        named = {PAYER: rail.payer} if rail.payer else {}
        ask_whose(adjustment, why=why, deposit=str(deposit.id), **named)


def ask_whose(item: UUID, *, why: str, **details: object) -> Escalation | None:
    """Ask a human what becomes of an item in suspense: one open escalation for each, which stays open until nothing is
    left of it. None when nothing is left already. `details` are for him to read."""
    assert_open()
    amount, currency = open_amount(item)
    if not amount:
        return None
    return escalate(
        kind=EscalationKind.UNMATCHED_MONEY,
        subject_type="transaction",
        subject_id=item,
        transaction_id=item,
        details={
            "why": why,
            "direction": "in" if amount > 0 else "out",
            "moved": {"amount": abs(amount), "currency": currency},
            **details,
            ITEM: str(item),
        },
    )


def item_of_return(payout: Transaction) -> UUID | None:
    """The item in suspense that this payout was to send back to its sender; None for a customer's."""
    adjustment = Adjustment.objects.select_related("escalation").filter(transaction=payout.id).first()
    if adjustment is None or adjustment.kind != AdjustmentKind.RETURN or adjustment.escalation is None:
        return None
    return item_of(adjustment.escalation.details)
