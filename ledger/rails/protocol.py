"""Payment rails: how money leaves for a bank and comes in from one.

A rail is asked with a key derived from our own row, as often as need be; the bank makes one payment for it. What it
answers is compared with what was asked, and an answer that does not match is an error, never a settlement. Nothing
here opens or needs a database transaction; none may be open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from wallet_project.utils.http_client import JsonObject

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
class Payer:
    """Who has paid money in, as the bank names him; `iban` and `country` are empty where it does not say."""

    name: str
    iban: str
    country: str

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "iban": self.iban, "country": self.country}


@dataclass(frozen=True, slots=True)
class PaymentReport:
    """What a bank says of a payment, in an answer or a callback, before it is compared with an order. `payer`: of a
    collection, where the bank names him."""

    reference: str
    bank_reference: str
    status: RailStatus
    amount: int
    currency: str
    reason: str
    raw: JsonObject
    payer: Payer | None = None


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
