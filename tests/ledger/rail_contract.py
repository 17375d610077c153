"""What any payment rail must do, whatever bank is behind it (docs/rails.md).

To test an adapter of your own: subclass `RailContract` in a test module, as test_rail_contract.py does, with a fixture
`bank` that gives a `BankUnderTest`: the adapter, and what it takes to make its test bank decide.
"""

import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from uuid import uuid4

import pytest

from ledger.rails import PaymentRail, RailAnswer, RailOrder
from wallet_project.utils.http_client import ProviderAnswerMismatch, ProviderRefused, ProviderUnavailable

BENEFICIARY = {"name": "Ada Lovelace", "iban": "DE89370400440532013000"}


class BankUnderTest(ABC):
    """An adapter and its bank's test environment."""

    rail: PaymentRail

    @abstractmethod
    def decide(self, reference: str, outcome: str) -> None:
        """Let the bank settle or reject a payment that it has accepted and not decided."""

    @abstractmethod
    def unreachable(self) -> PaymentRail:
        """The same adapter with nobody at the other end."""


def payout(amount: int = 1_500) -> RailOrder:
    # The description keeps the sandbox from deciding by itself; another bank may make of it what it likes.
    return RailOrder(f"wallet-{uuid4()}", "payout", amount, "EUR", BENEFICIARY, "SBX-MANUAL")


def collection(amount: int = 2_500) -> RailOrder:
    return RailOrder(f"wallet-{uuid4()}", "collection", amount, "EUR", None, "SBX-MANUAL")


class RailContract:
    @pytest.mark.parametrize("order", [payout(), collection()], ids=lambda order: order.direction)
    def test_what_is_submitted_is_known_and_goes_on(self, bank: BankUnderTest, order: RailOrder) -> None:
        answer = bank.rail.submit(order)
        assert answer.status == "processing"
        assert answer.bank_reference
        known = bank.rail.status(order)
        assert known is not None
        assert (known.status, known.bank_reference) == ("processing", answer.bank_reference)
        assert bank.rail.book("EUR").movements == ()

    def test_what_was_never_submitted_is_not_known(self, bank: BankUnderTest) -> None:
        assert bank.rail.status(payout()) is None

    @pytest.mark.parametrize(
        ("order", "direction", "balance"),
        [(payout(), "out", -1_500), (collection(), "in", 2_500)],
        ids=["payout", "collection"],
    )
    def test_what_settles_is_in_the_book_under_our_reference(
        self, bank: BankUnderTest, order: RailOrder, direction: str, balance: int
    ) -> None:
        bank.rail.submit(order)
        bank.decide(order.reference, "settled")
        answer = bank.rail.status(order)
        assert answer is not None
        assert answer.status == "settled"
        book = bank.rail.book("EUR")
        assert book.balance == balance
        (line,) = book.movements
        assert (line.direction, line.amount, line.currency) == (direction, order.amount, "EUR")
        assert line.reference == order.reference
        assert line.booked_at.tzinfo is not None

    def test_what_is_rejected_says_why_and_moves_nothing(self, bank: BankUnderTest) -> None:
        order = payout()
        bank.rail.submit(order)
        bank.decide(order.reference, "rejected")
        answer = bank.rail.status(order)
        assert answer is not None
        assert (answer.status, bool(answer.reason)) == ("rejected", True)
        assert bank.rail.book("EUR").balance == 0

    def test_submitting_again_makes_no_second_payment(self, bank: BankUnderTest) -> None:
        order = payout()
        first = bank.rail.submit(order)
        bank.decide(order.reference, "settled")
        again = bank.rail.submit(order)
        assert again.bank_reference == first.bank_reference
        assert bank.rail.book("EUR").balance == -1_500

    def test_submitting_five_times_at_once_makes_one_payment(self, bank: BankUnderTest) -> None:
        order = payout()
        barrier = threading.Barrier(5)
        answers: list[RailAnswer] = []

        def submit() -> None:
            barrier.wait()
            answers.append(bank.rail.submit(order))

        threads = [threading.Thread(target=submit) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len({answer.bank_reference for answer in answers}) == 1
        assert len(answers) == 5
        bank.decide(order.reference, "settled")
        assert bank.rail.book("EUR").balance == -1_500

    def test_a_reference_stands_for_one_order_only(self, bank: BankUnderTest) -> None:
        order = payout()
        bank.rail.submit(order)
        with pytest.raises((ProviderRefused, ProviderAnswerMismatch)):
            bank.rail.submit(replace(order, amount=order.amount + 1))
        bank.decide(order.reference, "settled")
        assert bank.rail.book("EUR").balance == -1_500

    def test_another_amount_than_was_asked_is_no_answer(self, bank: BankUnderTest) -> None:
        order = payout()
        bank.rail.submit(order)
        with pytest.raises(ProviderAnswerMismatch):
            bank.rail.status(replace(order, amount=order.amount + 1))

    def test_the_book_goes_on_from_a_cursor_oldest_first(self, bank: BankUnderTest) -> None:
        assert bank.rail.book("EUR").last is None
        orders = [collection(amount) for amount in (1, 2, 3)]
        for order in orders:
            bank.rail.submit(order)
            bank.decide(order.reference, "settled")
        book = bank.rail.book("EUR")
        assert [line.amount for line in book.movements] == [1, 2, 3]
        later = collection(4)
        bank.rail.submit(later)
        bank.decide(later.reference, "settled")
        rest = bank.rail.book("EUR", after=book.last)
        assert ([line.amount for line in rest.movements], rest.balance) == ([4], 10)
        assert bank.rail.book("EUR", after=rest.last) == replace(rest, movements=())

    def test_currencies_have_books_of_their_own(self, bank: BankUnderTest) -> None:
        order = collection()
        bank.rail.submit(order)
        bank.decide(order.reference, "settled")
        other = bank.rail.book("USD")
        assert (other.currency, other.balance, other.movements) == ("USD", 0, ())

    def test_a_bank_that_can_not_be_reached_is_unavailable(self, bank: BankUnderTest) -> None:
        rail, order = bank.unreachable(), payout()
        for ask in (lambda: rail.submit(order), lambda: rail.status(order), lambda: rail.book("EUR")):
            with pytest.raises(ProviderUnavailable):
                ask()
