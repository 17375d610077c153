"""A worker of its own process that is killed (SIGKILL) while it hands a payment to the bank: `before` the call, or
`after` the bank has answered and before our commit."""

import os
import signal
import sys
from random import Random

import django

django.setup()

from django.utils import timezone  # noqa: E402

from ledger.rails import BankBook, PaymentRail, RailAnswer, RailOrder, configured_rail  # noqa: E402
from ledger.services.rails import dispatch_rails  # noqa: E402


class KilledOnTheWay:
    def __init__(self, rail: PaymentRail, when: str) -> None:
        self._rail, self._when = rail, when

    def submit(self, order: RailOrder) -> RailAnswer:
        if self._when == "after":
            self._rail.submit(order)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody survives that")

    def status(self, order: RailOrder) -> RailAnswer | None:
        return self._rail.status(order)

    def book(self, currency: str, *, after: str | None = None) -> BankBook:
        return self._rail.book(currency, after=after)


if __name__ == "__main__":
    dispatch_rails(rail=KilledOnTheWay(configured_rail(), sys.argv[1]), now=timezone.now(), rng=Random(1))
