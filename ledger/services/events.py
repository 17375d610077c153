"""What a bank tells us of its own accord: stored raw and once, then acted on by a worker, in any order it comes in.

A payment's callback goes the same way as a polled answer (bank_word). Money that nobody expected is posted to suspense
and escalated. An event that cannot be acted on is tried again, and then given to a human.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, Literal
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models.functions import Now

from ledger import steps
from ledger.models import InboundEvent, RailTransfer
from ledger.rails import Payer, PaymentRail, PaymentReport, read_payer, read_report
from ledger.services import bank_word
from ledger.states import EscalationKind
from ledger.suspense import ITEM
from wallet_project.utils.errors import InvalidInput
from wallet_project.utils.http_client import ProviderAnswerMismatch
from wallet_project.utils.metrics import retried
from wallet_project.utils.money import MAX_AMOUNT, currencies
from wallet_project.utils.nudges import nudge
from wallet_project.utils.retry import next_delay

logger = structlog.get_logger(__name__)

BATCH: Final = 100
_MAX_EVENT_ID: Final = 128
_MAX_KIND: Final = 64
_PAYMENT_KINDS: Final = ("payment.settled", "payment.rejected")
_CREDIT: Final = "credit.received"


class NotAnEvent(InvalidInput):
    code = "not_an_event"
    message = "A message has an id of at most 128 characters, and is {type, data} with data an object."


class PaymentNotInBook(Exception):
    """The bank speaks of a payment that neither our rows nor its own book know."""


@dataclass(frozen=True, slots=True)
class _Credit:
    id: str
    amount: int
    currency: str
    reference: str
    payer: Payer | None


class _AskTheBook(Exception):
    """A payment under a key that we don't know moved money: only the bank's book says in which direction."""

    def __init__(self, report: PaymentReport) -> None:
        super().__init__(report.reference)
        self.report = report


def receive_bank_event(*, event_id: str, payload: Mapping[str, Any]) -> bool:
    """Store a message whose signature was verified. False when it is stored already. Raises NotAnEvent."""
    kind = payload.get("type")
    if (
        not isinstance(kind, str)
        or not 1 <= len(kind) <= _MAX_KIND
        or not isinstance(payload.get("data"), dict)
        or len(event_id) > _MAX_EVENT_ID
    ):
        raise NotAnEvent()
    with transaction.atomic(durable=True):
        _, new = InboundEvent.objects.get_or_create(
            event_id=event_id, defaults={"kind": kind, "payload": dict(payload)}
        )
        # A copy nudges as well: the sender repeats what it thinks was not heard.
        nudge("ledger.bank_event")
    return new


def process_bank_events(*, rail: PaymentRail | None, now: datetime, rng: Random, limit: int = BATCH) -> int:
    """Act on up to `limit` due events, each in a commit of its own. Returns how many were acted on or put off."""
    done = 0
    while done < limit and _process_next(rail=rail, now=now, rng=rng):
        done += 1
    if done == limit:
        nudge("ledger.bank_event")
    return done


def _process_next(*, rail: PaymentRail | None, now: datetime, rng: Random) -> bool:
    found: list[int] = []
    try:
        _act_on_next(found, now=now)
    except _AskTheBook as question:
        try:
            direction = _direction_in_book(rail, question.report)
            _act_on(found[0], now=now, direction=direction)
        except Exception as error:
            _put_off(found[0], error, rng=rng)
    except Exception as error:
        # One bad event must not stop the queue: whatever it is, it is recorded, tried again and given to a human.
        if not found:
            raise
        _put_off(found[0], error, rng=rng)
    return bool(found)


def _act_on_next(found: list[int], *, now: datetime) -> None:
    with transaction.atomic(durable=True):
        due = InboundEvent.objects.filter(next_at__lte=Now()).order_by("next_at", "id")
        event = due.select_for_update(no_key=True, skip_locked=True).first()
        if event is not None:
            found.append(event.id)
            _act(event, now=now, direction=None)


def _act_on(event_id: int, *, now: datetime, direction: steps.BankDirection) -> None:
    with transaction.atomic(durable=True):
        event = InboundEvent.objects.select_for_update(no_key=True).get(id=event_id)
        if event.processed_at is None:
            _act(event, now=now, direction=direction)


def _act(event: InboundEvent, *, now: datetime, direction: steps.BankDirection | None) -> None:
    data = event.payload["data"]
    event.last_error = ""
    if event.kind in _PAYMENT_KINDS:
        report = read_report(data)
        if event.kind != f"payment.{report.status}":
            raise ProviderAnswerMismatch("the event's type and its status differ", raw=data)
        _payment(report, now=now, direction=direction)
    elif event.kind == _CREDIT:
        _credit(_read_credit(data))
    else:
        # Banks add kinds of messages; one that says nothing of our money is kept and passed over.
        event.last_error = "unknown kind, nothing done"
    event.processed_at, event.next_at = now, None
    event.save(update_fields=["processed_at", "next_at", "last_error"])


def _payment(report: PaymentReport, *, now: datetime, direction: steps.BankDirection | None) -> None:
    known = RailTransfer.objects.filter(key=report.reference).select_related("transaction").first()
    if known is None:
        _payment_of_nobody(report, direction)
        return
    steps.lock([bank_word.unit_of(known)])
    row = (
        RailTransfer.objects.select_for_update(no_key=True, of=("self",)).select_related("transaction").get(id=known.id)
    )
    bank_word.apply(row, report, now=now)


def _payment_of_nobody(report: PaymentReport, direction: steps.BankDirection | None) -> None:
    if report.status != "settled":
        return
    if direction is None:
        raise _AskTheBook(report)
    _take_to_suspense(
        key=f"bank-payment-{report.reference}",
        direction=direction,
        amount=report.amount,
        currency=report.currency,
        bank_key=report.reference,
        why="the bank settled a payment that we have not asked for",
        bank_reference=report.bank_reference,
        payer=report.payer if direction == "in" else None,
    )


def _credit(credit: _Credit) -> None:
    _take_to_suspense(
        key=f"bank-credit-{credit.id}",
        direction="in",
        amount=credit.amount,
        currency=credit.currency,
        bank_key=credit.reference or credit.id,
        why="money came in that nobody expected",
        bank_reference=credit.id,
        payer=credit.payer,
    )


def _take_to_suspense(
    *,
    key: str,
    direction: steps.BankDirection,
    amount: int,
    currency: str,
    bank_key: str,
    why: str,
    bank_reference: str,
    payer: Payer | None,
) -> None:
    adjustment: UUID | None = None
    made = True
    if currency in currencies():
        adjustment, made = steps.post_to_suspense(
            key=key, direction=direction, amount=amount, currency=currency, bank_key=bank_key, why=why
        )
    if made:
        steps.escalate(
            kind=EscalationKind.UNMATCHED_MONEY,
            subject_type="transaction" if adjustment else "bank_payment",
            subject_id=adjustment or bank_reference[:64],
            transaction_id=adjustment,
            details={
                "why": why,
                "direction": direction,
                "moved": {"amount": amount, "currency": currency},
                "bank_reference": bank_reference,
                "bank_key": bank_key,
                **bank_word.with_payer(payer),
                **({ITEM: str(adjustment)} if adjustment else {}),
            },
        )


def _direction_in_book(rail: PaymentRail | None, report: PaymentReport) -> Literal["in", "out"]:
    """Outside any transaction. Raises ProviderUnavailable and PaymentNotInBook: asked again later."""
    if rail is not None:
        for movement in rail.book(report.currency).movements:
            if movement.reference == report.reference and movement.amount == report.amount:
                return movement.direction
    raise PaymentNotInBook(report.reference)


def _read_credit(raw: dict[str, Any]) -> _Credit:
    credit = _Credit(
        raw.get("id", ""),
        raw.get("amount", 0),
        raw.get("currency", ""),
        raw.get("reference") or "",
        read_payer(raw),
    )
    texts = (credit.id, credit.currency, credit.reference)
    if (
        not all(isinstance(text, str) for text in texts)
        or not credit.id
        or type(credit.amount) is not int
        or not 1 <= credit.amount <= MAX_AMOUNT
    ):
        raise ProviderAnswerMismatch("a credit that makes no sense", raw=raw)
    return credit


def _put_off(event_id: int, error: Exception, *, rng: Random) -> None:
    """Later again, for a reason that may pass; a human, when it does not or when the tries are used up."""
    with transaction.atomic(durable=True):
        event = InboundEvent.objects.select_for_update(no_key=True).get(id=event_id)
        if event.processed_at is not None:
            return
        event.attempts += 1
        delay = None if isinstance(error, ProviderAnswerMismatch) else next_delay(event.attempts, rng)
        event.last_error = f"{type(error).__name__}: {error}"[:500]
        event.next_at = None if delay is None else Now() + delay
        event.save(update_fields=["attempts", "last_error", "next_at"])
        if delay is None:
            steps.escalate(
                kind=EscalationKind.EVENT_FAILED,
                subject_type="inbound_event",
                subject_id=str(event.id),
                details={"kind": event.kind, "event": event.event_id, "error": event.last_error},
            )
    retried("bank_event")
    logger.warning("bank_event_put_off", bank_event=event_id, error=type(error).__name__, tries=event.attempts)
