"""What all requests for money have in common: one unit is posted as pending, in one round trip, and answered at once.

What lacks funds or goes beyond a limit is on record as failed; the refusal names it. A payment that costs something is
a group of two: the payment and its fee, which clear or fail together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import structlog

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress, used
from accounts.selectors import AccountNotFound, customer_id_of, system_account_id
from accounts.states import SystemPurpose
from ledger import fees, posting, selectors
from ledger.failures import FailureCode, public_failure
from ledger.models import Transaction
from ledger.posting import Answer, Leg, Posted
from ledger.selectors import TransactionView
from ledger.states import Stage, TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import NotFound, Refused
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import Money
from wallet_project.utils.nudges import nudge

_EXAMPLE: Final = {"transaction": "01980000-0000-7000-8000-000000000001"}


class RefusedOnRecord(Refused):
    """`transaction` is the id of the failed transaction that records it. `replayed`: it was refused before."""

    example_facts = _EXAMPLE

    def __init__(self, *, transaction: UUID, replayed: bool) -> None:
        super().__init__(transaction=transaction)
        self.replayed = replayed


class InsufficientFunds(RefusedOnRecord):
    code = "insufficient_funds"
    message = public_failure(FailureCode.INSUFFICIENT_FUNDS)["message"]


class LimitExceeded(RefusedOnRecord):
    code = "limit_exceeded"
    message = public_failure(FailureCode.LIMIT_EXCEEDED)["message"]


class FeeChanged(Refused):
    """`fee` is what it costs now, in minor units of `currency`. Nothing was recorded, and the key is free."""

    code = "fee_changed"
    message = "The fee is another one by now. Ask for a new quote, and send the request again if you agree to it."
    example_facts = {"fee": 25, "currency": "EUR"}


class TransactionNotFound(NotFound):
    code = "transaction_not_found"
    message = "There is no such transaction, or it is not yours."


ABOUT_A_LEG: Final = (AccountNotFound, posting.AccountNotOpen, posting.CurrencyMismatch)
#: What any request for money can be refused with.
REFUSALS: Final = (*ABOUT_A_LEG, IdempotencyKeyReused, RequestInProgress)
#: What is refused to somebody who pays, and stays on record.
ON_RECORD: Final = (InsufficientFunds, LimitExceeded)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transaction as its customer sees it. `replayed`: an earlier request with the same key had made it."""

    transaction: TransactionView
    replayed: bool


def request(
    legs: Sequence[Leg], *, actor: Actor, operation: str, key: str, request_hash: bytes, unit_id: UUID | None = None
) -> Posted:
    """Reserve and record one unit, all legs or none, and have it screened.

    Raises NotACustomer, the REFUSALS (those about one of several payments say in `transfer` which, from 0),
    InsufficientFunds, LimitExceeded.
    """
    # To the posting function an actor without a customer is the wallet itself, who may move anybody's money.
    customer_id_of(actor)
    try:
        posted = posting.post(
            posting.Asked(
                actor=actor,
                legs=legs,
                key=key,
                operation=operation,
                request_hash=request_hash,
                request_id=request_id.get(),
                unit_id=unit_id or (uuid7() if len(legs) > 1 else legs[0].id),
            )
        )
    except ABOUT_A_LEG as error:
        # Nothing was recorded, so its id tells nobody anything.
        error.facts |= _which(legs, error.facts.pop("leg", None))
        raise
    made = payment_in(posted)
    # So that the request's own line in the log says which transaction it was about.
    structlog.contextvars.bind_contextvars(transaction_id=str(made.id))
    for refusal in ON_RECORD:
        if made.failure == refusal.code:
            raise refusal(transaction=made.id, replayed=posted.outcome == "replayed")
    if posted.outcome == "created":
        nudge("ledger.transaction_pending")
    return posted


def request_one(legs: Sequence[Leg], *, actor: Actor, operation: str, key: str, request_hash: bytes) -> Accepted:
    """The same for one payment, with its fee if it has one."""
    posted = request(legs, actor=actor, operation=operation, key=key, request_hash=request_hash)
    made = payment_in(posted)
    if posted.outcome == "replayed":
        # It may have gone on since: told as it is now.
        seen = selectors.transaction_of_customer(actor.customer_id, made.id)
        assert seen is not None, "whoever asked for it sees it"
        return Accepted(seen, replayed=True)
    return Accepted(just_made(posted)[0], replayed=False)


def with_fee(payment: Leg, *, quoted: int | None, actor: Actor, key: str) -> list[Leg]:
    """The payment, and the fee that it costs now as a second leg. `quoted`: what its customer was told, in minor units.

    Raises FeeChanged, but not for a request that was answered before: what it cost then is on record.
    """
    fee = fees.fee_of(payment.kind, Money(payment.amount, payment.currency))
    if quoted is not None and quoted != fee and not answered_before(actor, key):
        raise FeeChanged(fee=fee, currency=payment.currency)
    return [payment, fee_leg(payment, fee)] if fee else [payment]


def fee_leg(payment: Leg, fee: int) -> Leg:
    """What `payment` costs, in minor units, as the second leg of its unit."""
    return Leg(
        id=uuid7(),
        kind=TransactionKind.FEE,
        debit=payment.debit,
        credit=system_account_id(SystemPurpose.FEES, payment.currency),
        amount=fee,
        currency=payment.currency,
        metadata={"fee_of": str(payment.id)},
        expires_in=payment.expires_in,
    )


def payment_in(posted: Posted) -> Transaction:
    """What was asked for, not its fee: of several, the first."""
    return next(row for row in posted.transactions if row.kind != TransactionKind.FEE)


def just_made(posted: Posted) -> list[TransactionView]:
    """A unit that was recorded just now, as its customer sees it: payments in the order asked for, then their fees."""
    fees_of = {row.metadata["fee_of"]: row.amount for row in posted.transactions if row.kind == TransactionKind.FEE}
    views = [_view(row, fee=fees_of.get(str(row.id))) for row in posted.transactions]
    return sorted(views, key=lambda view: view.kind == TransactionKind.FEE)


def view_of_leg(legs: Sequence[Leg], answer: Answer) -> TransactionView:
    """A transfer, the first leg of a unit that was recorded just now, as its payer sees it; the second is its fee."""
    payment, *rest = legs
    pending = answer.outcome == "created"
    assert answer.created_at is not None, "what was recorded has its time"
    return TransactionView(
        id=payment.id,
        kind=payment.kind,
        status=TransactionStatus.PENDING if pending else TransactionStatus.FAILED,
        stage=selectors.public_stage(Stage.SCREENING if pending else None),
        amount=payment.amount,
        currency=payment.currency,
        source=payment.debit,
        destination=payment.credit,
        reference=payment.reference,
        metadata=payment.metadata,
        failure=answer.failure,
        created_at=answer.created_at,
        cleared_at=None,
        group=answer.unit_id if rest else None,
        fee=rest[0].amount if rest else None,
    )


def see(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """The transaction as the customer sees it. Raises NotACustomer, TransactionNotFound."""
    seen = selectors.transaction_of_customer(customer_id_of(actor), transaction_id)
    if seen is None:
        raise TransactionNotFound()
    return seen


def _which(legs: Sequence[Leg], leg_id: str | None) -> dict[str, int]:
    """{"transfer": the place of the payment that a leg is, or whose fee it is}; nothing where there is but one."""
    payments = [str(leg.id) for leg in legs if leg.kind != TransactionKind.FEE]
    # What a payment's own metadata say is its customer's.
    about = [
        leg.metadata["fee_of"] if leg.kind == TransactionKind.FEE else leg_id for leg in legs if str(leg.id) == leg_id
    ]
    return {"transfer": payments.index(about[0])} if about and len(payments) > 1 else {}


def answered_before(actor: Actor, key: str) -> bool:
    """Whether a request with this key has made something, so that sending it again makes nothing."""
    return bool(used(actor.principal_id, [key]))


def _view(made: Transaction, *, fee: int | None) -> TransactionView:
    outgoing = made.kind in (TransactionKind.WITHDRAWAL, TransactionKind.FEE)
    return TransactionView(
        id=made.id,
        kind=made.kind,
        status=made.status,
        stage=selectors.public_stage(Stage.SCREENING),
        amount=made.amount,
        currency=made.currency,
        source=None if made.kind == TransactionKind.DEPOSIT else made.debit_account_id,
        destination=None if outgoing else made.credit_account_id,
        reference=made.reference,
        metadata=made.metadata,
        failure=made.failure,
        created_at=made.created_at,
        cleared_at=made.cleared_at,
        group=made.group_id,
        fee=fee,
        reverses=made.reverses_id,
        expires_at=made.expires_at,
    )
