"""I9: what the settlement accounts say, plus what is on its way, is what the bank's own book says; key by key.

The book is read before the snapshot of our rows and once more after it. What is only in the second reading may have
moved after our snapshot; what we have posted must be in it. So a busy system is no violation, and a missing cent is.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from ledger.rails import BankBook, BankMovement, PaymentRail
from wallet_project.utils.money import currencies
from wallet_project.utils.verification import Result, rows

#: A bank may take this long to tell us of money that nobody expected.
_TELLS_WITHIN: Final = timedelta(minutes=15)

# As the bank sees it: a debit of the settlement account is money that came in.
_POSTED: Final = """
    SELECT t.currency, coalesce(r.key, t.metadata ->> 'bank_key', t.id::text) AS key,
           sum(CASE e.direction WHEN 'debit' THEN e.amount ELSE -e.amount END)::bigint AS amount
    FROM ledger_entry e
    JOIN accounts_account a ON a.id = e.account_id AND a.kind = 'system' AND a.purpose = 'settlement'
    JOIN ledger_transaction t ON t.id = e.transaction_id
    LEFT JOIN ledger_railtransfer r ON r.transaction_id = t.id
    GROUP BY 1, 2"""
_BALANCES: Final = """
    SELECT currency, cleared FROM accounts_account WHERE kind = 'system' AND purpose = 'settlement'"""
# The bank may have moved these and we have not posted them yet: they wait for its word, or for clearing.
_ON_THE_WAY: Final = """
    SELECT r.key FROM ledger_railtransfer r JOIN ledger_transaction t ON t.id = r.transaction_id
    WHERE t.status = 'pending'"""
# What it has told us and we have not acted on; a payer may use one reference for many credits.
_TOLD: Final = """
    SELECT i.payload #>> '{data,reference}' AS key FROM ledger_inboundevent i WHERE i.processed_at IS NULL
    UNION SELECT i.payload #>> '{data,id}' FROM ledger_inboundevent i WHERE i.processed_at IS NULL"""


@dataclass
class BankBookCheck:
    rail: Callable[[], PaymentRail]
    name: str = "I9"
    title: str = "The settlement accounts plus what is in flight are what the bank's own book says"
    _first: dict[str, BankBook] = field(default_factory=dict)
    _posted: dict[str, dict[str, int]] = field(default_factory=dict)
    _settlement: dict[str, int] = field(default_factory=dict)
    _on_the_way: set[str] = field(default_factory=set)
    _told: set[str] = field(default_factory=set)

    def before(self) -> None:
        self._first = self._books()

    def read(self) -> None:
        self._posted = {currency: {} for currency in currencies()}
        for row in rows(_POSTED):
            self._posted.setdefault(row["currency"], {})[row["key"]] = row["amount"]
        self._settlement = {row["currency"]: row["cleared"] for row in rows(_BALANCES)}
        self._on_the_way = {row["key"] for row in rows(_ON_THE_WAY)}
        self._told = {row["key"] for row in rows(_TOLD) if row["key"]}

    def result(self) -> Result:
        figures: dict[str, Any] = {}
        offending: list[Mapping[str, Any]] = []
        for currency, book in self._books().items():
            found, in_flight = self._compare(currency, book)
            offending += found
            settlement = -self._settlement.get(currency, 0)
            if settlement or book.balance or in_flight:
                figures[currency] = f"ours {settlement} + in flight {in_flight} = bank {book.balance}"
            if not found and settlement + in_flight != book.balance:
                offending.append(
                    {
                        "problem": "the sums differ",
                        "currency": currency,
                        "ours": settlement,
                        "in_flight": in_flight,
                        "bank": book.balance,
                    }
                )
        return Result(self.name, self.title, figures, offending)

    def _compare(self, currency: str, book: BankBook) -> tuple[list[Mapping[str, Any]], int]:
        """Keys that differ for no good reason, and the sum of the differences that have one."""
        ours = self._posted.get(currency, {})
        seen_before = {movement.id for movement in self._first[currency].movements}
        theirs = _by_key(book.movements)
        young = _by_key(m for m in book.movements if m.id not in seen_before or _is_young(m))
        offending: list[Mapping[str, Any]] = []
        in_flight = 0
        for key in sorted(ours.keys() | theirs.keys()):
            difference = theirs[key] - ours.get(key, 0)
            if not difference:
                continue
            unposted = key not in ours and key in self._on_the_way
            if unposted or key in self._told or _is_part(difference, young[key]):
                in_flight += difference
            else:
                offending.append(
                    {
                        "problem": "the bank's book has another amount",
                        "currency": currency,
                        "key": key,
                        "ours": ours.get(key, 0),
                        "bank": theirs[key],
                    }
                )
        return offending, in_flight

    def _books(self) -> dict[str, BankBook]:
        rail = self.rail()
        return {currency: rail.book(currency) for currency in currencies()}


def _by_key(movements: Iterable[BankMovement]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for movement in movements:
        sums[movement.reference] += movement.amount if movement.direction == "in" else -movement.amount
    return sums


def _is_part(difference: int, whole: int) -> bool:
    return 0 < difference <= whole or whole <= difference < 0


def _is_young(movement: BankMovement) -> bool:
    return not movement.reference.startswith("wallet-") and movement.booked_at > timezone.now() - _TELLS_WITHIN
