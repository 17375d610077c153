"""Numbers that hypothesis draws, and what they choose from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.ledger.model.bank import Bank
from tests.ledger.model.book import Book

ACCOUNTS = 6
_RECENT = 12


@dataclass
class Draw:
    """Numbers, and what they are to choose from."""

    book: Book
    bank: Bank
    a: int
    b: int
    amount: int
    number: int
    leases: list[tuple[int, int]]
    another: Callable[[], int]

    @property
    def account(self) -> int:
        return self.a % ACCOUNTS

    @property
    def other(self) -> int:
        return self.b % ACCOUNTS

    def one(self, choices: Any) -> Any:
        """The first number's choice: 0 is the last, which is the one that most probably still matters."""
        last = list(choices)[-_RECENT:]
        return last[-1 - self.a % len(last)]

    def second(self, choices: Any) -> Any:
        return choices[self.b % len(choices)]
