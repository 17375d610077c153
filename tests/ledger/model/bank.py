"""A bank in plain Python that keeps the rails' protocol: what it does with a payment is told to it beforehand.

It has a book of its own, so that ours can be held against it, and remembers each message that it would send.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ledger.rails import BankBook, BankMovement, RailAnswer, RailOrder, match_report, read_report
from wallet_project.utils.http_client import ProviderRefused, ProviderUnavailable

CURRENCY = "EUR"


@dataclass
class Payment:
    reference: str
    direction: str
    asked: int
    status: str = "processing"
    amount: int = 0

    def raw(self) -> dict[str, Any]:
        return {
            "id": f"pay-{self.reference}",
            "reference": self.reference,
            "status": self.status,
            "amount": self.amount or self.asked,
            "currency": CURRENCY,
        }


class Bank:
    """Its payments, its book, and what it would like to tell."""

    def __init__(self) -> None:
        self.payments: dict[str, Payment] = {}
        self.movements: list[BankMovement] = []
        #: (the payment's reference or "", the message): sent when somebody lets it be delivered.
        self.outbox: list[tuple[str, dict[str, Any]]] = []
        self.lock = threading.Lock()

    def end(self, reference: str, status: str, amount: int) -> None:
        """It settles (for `amount`) or rejects a payment that it has, and says so in a message."""
        payment = self.payments[reference]
        payment.status = status
        if status == "settled":
            payment.amount = amount
            self.enter("in" if payment.direction == "collection" else "out", amount, reference)
        self.outbox.append((reference, {"type": f"payment.{status}", "data": payment.raw()}))

    def pay_in(self, amount: int) -> None:
        """Somebody sends money that nobody expects."""
        name = f"credit-{len(self.movements)}"
        self.enter("in", amount, name)
        data = {"id": name, "amount": amount, "currency": CURRENCY, "reference": name}
        self.outbox.append(("", {"type": "credit.received", "data": data}))

    def enter(self, direction: Any, amount: int, reference: str) -> None:
        line = BankMovement(
            id=f"line-{len(self.movements)}",
            direction=direction,
            amount=amount,
            currency=CURRENCY,
            reference=reference,
            booked_at=datetime.now(UTC),
        )
        self.movements.append(line)


class Desk:
    """Where a worker asks the bank, which has its `plan` for him; `said` is what he was answered about each payment."""

    def __init__(self, bank: Bank, plan: str) -> None:
        self._bank, self._plan = bank, plan
        self.said: dict[str, tuple[str, int]] = {}

    def submit(self, order: RailOrder) -> RailAnswer:
        with self._bank.lock:
            payment = self._bank.payments.get(order.reference)
            if payment is None:
                payment = self._take(order)
            return self._answer(payment, order)

    def status(self, order: RailOrder) -> RailAnswer | None:
        with self._bank.lock:
            payment = self._bank.payments.get(order.reference)
            return None if payment is None else self._answer(payment, order)

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        with self._bank.lock:
            lines = tuple(line for line in self._bank.movements if currency == CURRENCY)
            balance = sum(line.amount if line.direction == "in" else -line.amount for line in lines)
            return BankBook(currency, balance, lines, lines[-1].id if lines else None)

    def _take(self, order: RailOrder) -> Payment:
        """Of a payment that it has not heard of: `lost` never reaches it, and `refuse` is not taken."""
        if self._plan == "lost":
            self.said[order.reference] = ("silent", 0)
            raise ProviderUnavailable("nobody answered", may_have_reached=True)
        if self._plan == "refuse":
            self.said[order.reference] = ("refused", 0)
            raise ProviderRefused("it will not", status=422, body={})
        payment = self._bank.payments[order.reference] = Payment(order.reference, order.direction, order.amount)
        if self._plan == "reject":
            self._bank.end(order.reference, "rejected", order.amount)
        elif self._plan in ("settle", "settle otherwise", "silent"):
            self._bank.end(order.reference, "settled", order.amount + (self._plan == "settle otherwise"))
        return payment

    def _answer(self, payment: Payment, order: RailOrder) -> RailAnswer:
        """What it says of a payment that it has; with the plan `silent` its answer gets lost."""
        if self._plan == "silent":
            self.said[payment.reference] = ("silent", 0)
            raise ProviderUnavailable("its answer was lost", may_have_reached=True)
        self.said[payment.reference] = (payment.status, payment.amount or payment.asked)
        return match_report(read_report(payment.raw()), order)
