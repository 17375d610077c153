"""Payment rails: how money leaves for a bank and comes in from one.

A rail is asked with a key derived from our own row, as often as need be; the bank makes one payment for it. What it
answers is compared with what was asked, and an answer that does not match is an error, never a settlement. Nothing
here opens or needs a database transaction; none may be open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, Protocol, cast, get_args
from urllib.parse import quote

from django.conf import settings

from wallet_project.utils.http_client import (
    DEFAULT_LIMITS,
    CallLimits,
    JsonObject,
    ProviderAnswerMismatch,
    ProviderClient,
    ProviderNotConfigured,
)

Direction = Literal["payout", "collection"]
RailStatus = Literal["processing", "settled", "rejected"]


@dataclass(frozen=True, slots=True)
class RailOrder:
    """What we ask of a bank. `amount` is in minor units; `reference` is our derived key, one per payment for ever.

    `beneficiary` is {"name", "iban"} for a payout and None for a collection.
    """

    reference: str
    direction: Direction
    amount: int
    currency: str
    beneficiary: Mapping[str, str] | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if (self.direction == "payout") != (self.beneficiary is not None):
            raise ValueError("a payout has a beneficiary and a collection has none")


@dataclass(frozen=True, slots=True)
class RailAnswer:
    """What a bank said about an order, found to be about that order. `raw` is its answer as it came."""

    status: RailStatus
    bank_reference: str
    reason: str
    raw: JsonObject


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """What a bank says of a payment, in an answer or a callback, before it is compared with an order."""

    reference: str
    bank_reference: str
    status: RailStatus
    amount: int
    currency: str
    reason: str
    raw: JsonObject


@dataclass(frozen=True, slots=True)
class BankMovement:
    """A line of the bank's statement: `amount` (minor units, positive) into or out of the wallet's account there."""

    id: str
    direction: Literal["in", "out"]
    amount: int
    currency: str
    reference: str
    booked_at: datetime


@dataclass(frozen=True, slots=True)
class BankBook:
    """The bank's own view of our account in one currency.

    `balance` (minor units) is that after the last of all movements; `movements` are those after the cursor that was
    asked for, oldest first. `last` is the cursor to go on from, None when there has been no movement yet.
    """

    currency: str
    balance: int
    movements: tuple[BankMovement, ...]
    last: str | None


class PaymentRail(Protocol):
    def submit(self, order: RailOrder) -> RailAnswer:
        """Ask for the payment. Safe to repeat: the reference is the idempotency key.

        Raises ProviderUnavailable (unknown outcome unless `may_have_reached` is False), ProviderRefused (this request
        was not carried out; an earlier one may have been, so ask `status` before failing anything) and
        ProviderAnswerMismatch (a human looks).
        """
        ...

    def status(self, order: RailOrder) -> RailAnswer | None:
        """What became of the order; None when the bank has never heard of it. Raises as `submit` does."""
        ...

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        """The bank's book, from the beginning or after the cursor `after`. Raises as `submit` does."""
        ...


class HttpPaymentRail:
    """The bank's HTTP API. Threads may share it."""

    def __init__(self, client: ProviderClient) -> None:
        self._client = client

    def submit(self, order: RailOrder) -> RailAnswer:
        body: JsonObject = {
            "reference": order.reference,
            "amount": order.amount,
            "currency": order.currency,
            "description": order.description,
        }
        if order.beneficiary is not None:
            body["beneficiary"] = dict(order.beneficiary)
        raw = self._client.post(f"/bank/v1/{order.direction}s", body, idempotency_key=order.reference)
        return match_report(read_report(raw), order)

    def status(self, order: RailOrder) -> RailAnswer | None:
        raw = self._client.find(f"/bank/v1/payments/{quote(order.reference, safe='')}")
        return None if raw is None else match_report(read_report(raw), order)

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        movements: list[BankMovement] = []
        cursor = after
        while True:
            page = self._client.get(
                "/bank/v1/statement", query={"currency": currency} | ({"after": cursor} if cursor else {})
            )
            balance = _integer(page, "balance")
            if page.get("currency") != currency:
                raise ProviderAnswerMismatch("a statement in another currency", raw=page)
            movements += _movements(page, currency)
            upcoming = page.get("next")
            if upcoming is None:
                # The last page's balance: movements booked while we read the earlier ones are on it.
                return BankBook(currency, balance, tuple(movements), movements[-1].id if movements else after)
            if not isinstance(upcoming, str) or upcoming == cursor or not page["lines"]:
                raise ProviderAnswerMismatch("the statement does not go on", raw=page)
            cursor = upcoming


def read_report(raw: JsonObject) -> PaymentReport:
    """A payment as the bank describes it in answers and callbacks. Raises ProviderAnswerMismatch when malformed."""
    status = _text(raw, "status")
    if status not in get_args(RailStatus):
        raise ProviderAnswerMismatch(f"unknown status {status!r}", raw=raw)
    amount = _integer(raw, "amount")
    if amount <= 0:
        raise ProviderAnswerMismatch("an amount that is not positive", raw=raw)
    return PaymentReport(
        reference=_text(raw, "reference"),
        bank_reference=_text(raw, "id"),
        status=cast(RailStatus, status),
        amount=amount,
        currency=_text(raw, "currency"),
        reason=_reason(raw),
        raw=raw,
    )


def match_report(report: PaymentReport, order: RailOrder) -> RailAnswer:
    """The report as an answer to `order`. Raises ProviderAnswerMismatch when it is about anything else."""
    if (report.reference, report.amount, report.currency) != (order.reference, order.amount, order.currency):
        raise ProviderAnswerMismatch("the bank speaks of another payment, amount or currency", raw=report.raw)
    return RailAnswer(report.status, report.bank_reference, report.reason, report.raw)


def configured_rail() -> PaymentRail:
    """The rail of this deployment. Raises ProviderNotConfigured when there is none."""
    if not settings.BANK_URL or not settings.BANK_API_KEY:
        raise ProviderNotConfigured("No bank is configured (BANK_URL, BANK_API_KEY).")
    return http_rail(settings.BANK_URL, settings.BANK_API_KEY)


@lru_cache(maxsize=8)
def http_rail(base_url: str, api_key: str, limits: CallLimits = DEFAULT_LIMITS) -> HttpPaymentRail:
    """One rail per bank and process, so that its connections are reused."""
    return HttpPaymentRail(ProviderClient(base_url=base_url, api_key=api_key, limits=limits))


def _movements(page: JsonObject, currency: str) -> list[BankMovement]:
    lines = page.get("lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise ProviderAnswerMismatch("a statement without lines", raw=page)
    return [_movement(line, currency) for line in lines]


def _movement(line: JsonObject, currency: str) -> BankMovement:
    direction, amount = line.get("direction"), _integer(line, "amount")
    if direction not in ("in", "out") or amount <= 0 or line.get("currency") != currency:
        raise ProviderAnswerMismatch("a line of the statement that makes no sense", raw=line)
    try:
        booked_at = datetime.fromisoformat(_text(line, "booked_at"))
    except ValueError as error:
        raise ProviderAnswerMismatch("a line of the statement without a time", raw=line) from error
    reference: Any = line.get("reference")
    return BankMovement(
        id=_text(line, "id"),
        direction=cast(Literal["in", "out"], direction),
        amount=amount,
        currency=currency,
        reference=reference if isinstance(reference, str) else "",
        booked_at=booked_at,
    )


def _text(raw: JsonObject, field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not value:
        raise ProviderAnswerMismatch(f"no {field}", raw=raw)
    return value


def _integer(raw: JsonObject, field: str) -> int:
    value = raw.get(field)
    # A bool is an int to Python, and money is never a float.
    if type(value) is not int:
        raise ProviderAnswerMismatch(f"{field} is no integer", raw=raw)
    return value


def _reason(raw: JsonObject) -> str:
    reason = raw.get("reason")
    return reason if isinstance(reason, str) else ""
