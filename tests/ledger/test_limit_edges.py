"""What does not count towards a limit, and which limits a change of one leaves alone."""

from dataclasses import replace

import pytest
from django.db import transaction

from accounts.models import Account
from ledger import posting, steps
from ledger.models import Limit, Usage
from tests.ledger.test_limit_functions import clear_all, limit, outcome, used
from tests.support import money
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def payer(db: None) -> Account:
    return money.new_account(10_000)


@pytest.fixture
def payee(db: None) -> Account:
    return money.new_account(5_000)


def test_what_goes_the_other_way_never_counted(payer: Account, payee: Account) -> None:
    clear_all(money.transfer(payer, payee, 40), money.transfer(payee, payer, 7))
    limit(payer, "out", per_day=100)
    limit(payer, "in", per_day=100)
    assert (used(payer, "out"), used(payer, "in")) == (40, 7)


def test_only_what_has_cleared_has_come_in(payer: Account, payee: Account) -> None:
    clear_all(money.transfer(payer, payee, 40))
    money.transfer(payer, payee, 50)
    money.transfer(payer, payee, 100_000)
    limit(payee, "in", per_day=100)
    limit(payer, "out", per_day=100)
    assert used(payee, "in") == 40
    assert used(payer, "out") == 90, "what is pending counts as gone, what was refused does not"


def test_a_customer_s_limit_counts_his_accounts_of_its_currency_alone(payer: Account, payee: Account) -> None:
    assert payer.customer is not None
    dollars = money.new_account(900, customer=payer.customer, currency="USD")
    abroad = money.new_account(currency="USD")
    money.transfer(dollars, abroad, 300)
    money.transfer(payer, payee, 20)
    limit(payer.customer.id, scope="customer", per_day=100)
    assert list(Usage.objects.values_list("currency", "amount")) == [("EUR", 20)]
    assert money.transfer(dollars, abroad, 500).outcome == "created"
    assert used(payer.customer.id) == 20


def test_a_hold_that_was_captured_in_part_counts_with_that_part_from_the_start(payer: Account, payee: Account) -> None:
    hold = replace(money.leg("transfer", payer, payee, 100), expires_in=3_600)
    money.approve(money.post(hold, actor=money.actor_of(payer.customer)))  # type: ignore[arg-type]
    posting.capture(
        actor=money.actor_of(payee.customer),  # type: ignore[arg-type]
        transaction_id=hold.id,
        amount=30,
        key=None,
        request_hash=money.HASH,
        request_id="",
    )
    limit(payer, per_day=100)
    assert used(payer) == 30
    money.clear()
    limit(payee, "in", per_day=100)
    assert used(payee, "in") == 30


def test_money_that_the_wallet_books_itself_never_counts(payer: Account, payee: Account) -> None:
    limit(payee, "in", per_day=0)
    limit(payee, "out", per_day=0)
    money.fund(payee, 60)
    money.post_now("exchange", payee, money.system(), 10)
    assert (used(payee, "in"), used(payee, "out")) == (None, None)
    limit(payee, "in", per_day=5)
    limit(payee, "out", per_day=5)
    assert not Usage.objects.exists()


def test_each_limit_is_changed_and_removed_alone(payer: Account, payee: Account) -> None:
    for account in (payer, payee):
        for direction in ("in", "out"):
            limit(account, direction, per_day=1_000)
    clear_all(money.transfer(payer, payee, 40), money.transfer(payee, payer, 7))
    limit(payer, "out")
    left = sorted(Limit.objects.values_list("owner_id", "direction"))
    assert left == sorted([(payer.id, "in"), (payee.id, "in"), (payee.id, "out")])
    assert used(payer, "out") is None
    assert (used(payer, "in"), used(payee, "in"), used(payee, "out")) == (7, 40, 7)
    limit(payee, "out", per_day=10)
    assert (used(payer, "in"), used(payee, "in"), used(payee, "out")) == (7, 40, 7)
    assert (outcome(payee, payer, 4), outcome(payee, payer, 3)) == ("limit_exceeded", "created")


def test_what_fails_is_given_back_to_who_would_have_paid_it_alone(payer: Account, payee: Account) -> None:
    assert payer.customer is not None
    for account, direction in ((payer, "out"), (payer, "in"), (payee, "in"), (payee, "out")):
        limit(account, direction, per_day=1_000)
    limit(payer.customer.id, scope="customer", per_day=1_000)
    clear_all(money.transfer(payer, payee, 40), money.transfer(payee, payer, 7))
    stays, fails = money.transfer(payer, payee, 5), money.transfer(payer, payee, 30)
    money.transfer(payee, payer, 2)
    with transaction.atomic():
        steps.fail([fails.transactions[0].id], code="cancelled", actor=system_actor(), reason="")
    assert stays.outcome == "created"
    assert (used(payer), used(payer.customer.id), used(payee)) == (45, 45, 9)
    assert (used(payer, "in"), used(payee, "in")) == (7, 40)


def test_per_transaction_is_for_each_and_not_for_their_sum(payer: Account, payee: Account) -> None:
    limit(payer, per_transaction=50)
    limit(payee, "in", per_transaction=50)
    actor = money.actor_of(payer.customer)  # type: ignore[arg-type]
    legs = [money.leg("transfer", payer, payee, amount) for amount in (50, 49)]
    posted = money.post(*legs, actor=actor)
    assert posted.outcome == "created"
    assert clear_all(posted) == {posted.transactions[0].unit_id: "cleared"}
    legs = [money.leg("transfer", payer, payee, amount) for amount in (51, 1)]
    assert money.post(*legs, actor=actor).outcome == "refused"


def test_one_receiver_s_limit_stops_nobody_else_in_the_batch(payer: Account, payee: Account) -> None:
    third = money.new_account()
    limit(payee, "in", per_day=10)
    limit(third, "in", per_day=100)
    posted = [money.transfer(payer, account, amount) for account, amount in ((payee, 11), (third, 60), (payee, 10))]
    verdicts = clear_all(*posted)
    assert [verdicts[each.transactions[0].id] for each in posted] == ["limited", "cleared", "cleared"]
    assert (used(payee, "in"), used(third, "in")) == (10, 60)


def test_deposits_count_as_coming_in_and_withdrawals_as_leaving(payer: Account) -> None:
    limit(payer, "out", per_day=100)
    bank = money.post(money.leg("withdrawal", payer, money.system(), 101))
    assert bank.transactions[0].failure == "limit_exceeded"
    assert money.post(money.leg("deposit", money.system(), payer, 101)).outcome == "created"
    assert used(payer, "out") == 0


def test_an_account_s_limit_counts_moves_to_the_owner_s_other_account(payer: Account) -> None:
    second = money.new_account(customer=payer.customer)
    clear_all(money.transfer(payer, second, 30))
    limit(payer, per_day=100)
    limit(second, "in", per_day=100)
    assert (used(payer), used(second, "in")) == (30, 30)
    clear_all(money.transfer(payer, second, 5))
    assert (used(payer), used(second, "in")) == (35, 35)
