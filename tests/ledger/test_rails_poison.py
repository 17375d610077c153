"""One payment that can't be dealt with holds up no other, and a human hears of it."""

from random import Random
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from ledger.models import Escalation, RailTransfer
from ledger.rails import RailAnswer, RailOrder
from ledger.services import rails
from ledger.states import RailStatus
from tests.ledger import flows
from tests.support.factories import make_account
from tests.support.money import leg, post, system
from tests.support.pipeline import hurry, verify
from wallet_project.utils.retry import MAX_TRIES

pytestmark = pytest.mark.django_db


class Bank:
    """Settles everything at once; what is described as `bad`, in words that no database takes."""

    def submit(self, order: RailOrder) -> RailAnswer:
        reason = "\x00" if order.description == "bad" else ""
        raw = {
            "id": "pay_1",
            "reference": order.reference,
            "status": "settled",
            "amount": order.amount,
            "currency": order.currency,
            "reason": reason,
        }
        return RailAnswer("settled", "pay_1", reason, raw)

    def status(self, order: RailOrder) -> RailAnswer | None:
        return self.submit(order)

    def book(self, currency: str, *, after: str | None = None) -> Any:
        raise AssertionError("nobody asks for it here")


def dispatch() -> int:
    return rails.dispatch_rails(rail=Bank(), now=timezone.now(), rng=Random(1))


def deposits(account: Account, *references: str) -> list[Any]:
    made = [flows.deposit(account, 100, reference=reference) for reference in references]
    flows.approve(*made)
    return made


def states(made: list[Any]) -> list[RailStatus]:
    status = dict(RailTransfer.objects.values_list("transaction_id", "status"))
    return [status[view.id] for view in made]


def test_an_answer_that_can_not_be_stored_holds_up_no_other_and_escalates_after_the_last_try() -> None:
    made = deposits(make_account(), "good", "bad", "good", "bad", "good")
    dispatch()
    assert states(made) == ["confirmed", "submitted", "confirmed", "submitted", "confirmed"]
    for tries in range(2, MAX_TRIES + 2):
        hurry()
        assert not Escalation.objects.exists()
        assert dispatch() == 2
        if tries == MAX_TRIES:
            break
    assert set(Escalation.objects.values_list("kind", "transaction_id")) == {
        ("rail_exhausted", view.id) for view in (made[1], made[3])
    }
    assert all("DataError" in row.details["error"] for row in Escalation.objects.all())
    verify("--no-bank")


def test_an_order_that_can_not_be_written_holds_up_no_other() -> None:
    account = make_account(funded=1_000)
    posted = post(leg("withdrawal", account, system(), 100), actor=flows.owner(account))
    nobody = posted.transactions[0]
    assert nobody.beneficiary is None
    good = flows.withdraw(account, 100)
    flows.approve(good)
    dispatch()
    assert states([nobody, good]) == ["submitted", "confirmed"]
    verify("--no-bank")


def test_a_worker_that_dies_at_the_last_try_takes_the_escalation_not_with_it() -> None:
    (made,) = deposits(make_account(), "bad")
    dispatch()
    # Each of the others ended with the death of its worker.
    RailTransfer.objects.filter(transaction=made.id).update(attempts=MAX_TRIES)
    hurry()
    dispatch()
    assert [row.kind for row in Escalation.objects.all()] == ["rail_exhausted"]
    hurry()
    dispatch()
    assert Escalation.objects.count() == 1
    verify("--no-bank")
