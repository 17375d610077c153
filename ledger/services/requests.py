"""What all requests for money have in common: one unit is posted as pending, in one round trip, and answered at once.

What lacks funds or goes beyond a limit is on record as failed; the refusal names it. A payment that costs something is
a group of two: the payment and its fee, which clear or fail together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Final, ParamSpec
from uuid import UUID

import structlog

from accounts.idempotency import IdempotencyKeyReused, RequestInProgress, used
from accounts.selectors import AccountNotFound, customer_id_of, system_account_id
from accounts.states import SystemPurpose
from ledger import fees, posting, selectors
from ledger.failures import FailureCode, public_failure
from ledger.posting import Answer, Asked, Leg
from ledger.selectors import TransactionView
from ledger.states import Stage, TransactionKind, TransactionStatus
from wallet_project.utils.context import Actor, request_id
from wallet_project.utils.errors import DomainError, NotFound, Refused
from wallet_project.utils.ids import uuid7
from wallet_project.utils.money import Money
from wallet_project.utils.nudges import nudge

logger = structlog.get_logger(__name__)

Wanted = ParamSpec("Wanted")

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
BY_CODE: Final[Mapping[str, type[RefusedOnRecord]]] = {refusal.code: refusal for refusal in ON_RECORD}

_WAITING: Final = "ledger.transaction_pending"
_SCREENING: Final = selectors.public_stage(Stage.SCREENING)
_OUT: Final = (TransactionKind.WITHDRAWAL, TransactionKind.FEE)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The transaction as its customer sees it. `replayed`: an earlier request with the same key had made it."""

    transaction: TransactionView
    replayed: bool


def asked_for(
    legs: Sequence[Leg], *, actor: Actor, operation: str, key: str, request_hash: bytes, unit_id: UUID | None = None
) -> Asked:
    """One unit as it is posted: all legs or none. Raises NotACustomer."""
    # To the posting function an actor without a customer is the wallet itself, who may move anybody's money.
    customer_id_of(actor)
    return Asked(
        actor=actor,
        legs=legs,
        key=key,
        operation=operation,
        request_hash=request_hash,
        request_id=request_id.get(),
        unit_id=unit_id or (uuid7() if len(legs) > 1 else legs[0].id),
    )


def post_alone(asked: Asked) -> Answer:
    """Reserve and record one unit, and have it screened.

    Raises the REFUSALS (those about one of several payments say in `transfer` which, from 0).
    """
    try:
        answer = posting.post_one(asked)
    except ABOUT_A_LEG as error:
        raise about_the_payment(error, asked) from None
    if answer.outcome == "created":
        nudge(_WAITING)
    return answer


def post_together(asked: Sequence[Asked]) -> list[Answer | Exception | None]:
    """The same for units that were asked for at the same time, in one commit: what became of each, in their order.

    None, of all of them: it went wrong for all because of one or because of the database; each is posted alone.
    """
    try:
        answers: list[Answer | Exception] = posting.post_at_once(asked)
    except Exception as error:
        logger.warning("not_posted_together", units=len(asked), error=type(error).__name__, cause=str(error)[:200])
        return [None] * len(asked)
    if any(isinstance(answer, Answer) and answer.outcome == "created" for answer in answers):
        nudge(_WAITING)
    return [
        about_the_payment(answer, each) if isinstance(answer, ABOUT_A_LEG) else answer
        for each, answer in zip(asked, answers, strict=True)
    ]


def accepted(asked: Asked, answer: Answer) -> Accepted:
    """What the customer who asked for one payment, with its fee if it has one, is told of what was posted.

    Raises InsufficientFunds, LimitExceeded.
    """
    replayed = answer.outcome == "replayed"
    if replayed:
        # It may have gone on since: told as it is now.
        seen = selectors.payment_of_unit(customer_id_of(asked.actor), answer.unit_id)
        assert seen is not None, "whoever asked for it sees it"
    else:
        seen = views_of(asked.legs, answer)[0]
    refuse_on_record(seen, replayed=replayed)
    return Accepted(seen, replayed)


def refuse_on_record(payment: TransactionView, *, replayed: bool) -> None:
    """Raises InsufficientFunds or LimitExceeded where that is what became of it."""
    # So that the request's own line in the log says which transaction it was about.
    structlog.contextvars.bind_contextvars(transaction_id=str(payment.id))
    if refusal := BY_CODE.get(payment.failure):
        raise refusal(transaction=payment.id, replayed=replayed)


def posted_alone(ask: Callable[Wanted, Asked]) -> Callable[Wanted, Accepted]:
    """The use case of what `ask` asks for, for whoever asks for nothing else at the same time."""

    @wraps(ask)
    def use_case(*args: Wanted.args, **kwargs: Wanted.kwargs) -> Accepted:
        asked = ask(*args, **kwargs)
        return accepted(asked, post_alone(asked))

    return use_case


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


def views_of(legs: Sequence[Leg], answer: Answer) -> list[TransactionView]:
    """A unit that was recorded just now, as its customer sees it: payments in the order asked for, then their fees."""
    assert answer.created_at is not None, "what was recorded has its time"
    fees_of = {leg.metadata["fee_of"]: leg.amount for leg in legs if leg.kind == TransactionKind.FEE}
    return [_view(leg, answer, answer.created_at, len(legs) > 1, fees_of.get(str(leg.id))) for leg in legs]


def see(*, actor: Actor, transaction_id: UUID) -> TransactionView:
    """The transaction as the customer sees it. Raises NotACustomer, TransactionNotFound."""
    seen = selectors.transaction_of_customer(customer_id_of(actor), transaction_id)
    if seen is None:
        raise TransactionNotFound()
    return seen


def about_the_payment(error: DomainError, asked: Asked) -> DomainError:
    """The refusal without the leg's id, as nothing was recorded: of several payments it says in `transfer` which."""
    error.facts |= _which(asked.legs, error.facts.pop("leg", None))
    return error


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


def _view(leg: Leg, answer: Answer, created_at: datetime, grouped: bool, fee: int | None) -> TransactionView:
    pending = answer.outcome == "created"
    return TransactionView(
        id=leg.id,
        kind=leg.kind,
        status=TransactionStatus.PENDING if pending else TransactionStatus.FAILED,
        stage=_SCREENING if pending else None,
        amount=leg.amount,
        currency=leg.currency,
        source=None if leg.kind == TransactionKind.DEPOSIT else leg.debit,
        destination=None if leg.kind in _OUT else leg.credit,
        reference=leg.reference,
        metadata=leg.metadata,
        failure=answer.failure,
        created_at=created_at,
        cleared_at=None,
        group=answer.unit_id if grouped else None,
        fee=fee,
        reverses=leg.reverses,
        expires_at=None if leg.expires_in is None else created_at + timedelta(seconds=leg.expires_in),
    )
