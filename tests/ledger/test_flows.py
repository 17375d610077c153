"""Each use case from the request to the end, with both balances at every step, against the sandbox bank."""

import pytest

from ledger.models import Entry, RailTransfer, WorkItem
from ledger.selectors import lists
from ledger.services import payments
from tests.ledger import flows
from tests.support.factories import actor_of, make_account, make_customer
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db


def test_a_deposit_is_spendable_only_when_the_bank_has_confirmed_it(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 12_500)
    assert (made.status, made.stage, made.source, made.destination) == ("pending", "processing", None, account.id)
    assert flows.balances(account) == (0, 0)
    flows.approve(made)
    assert payments.see(actor=flows.owner(account), transaction_id=made.id).stage == "settling"
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (12_500, 12_500)
    assert RailTransfer.objects.get(transaction=made.id).status == "confirmed"
    assert sandbox.book.balance("EUR") == 12_500
    assert not WorkItem.objects.exists()
    verify()


def test_a_withdrawal_is_reserved_at_once_and_leaves_when_the_bank_has_confirmed_it(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 10_000, sandbox)
    made = flows.withdraw(account, 4_000)
    assert (made.source, made.destination) == (account.id, None)
    assert flows.balances(account) == (10_000, 6_000)
    flows.approve(made)
    assert flows.balances(account) == (10_000, 6_000)
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox, ledger_only=True)
    assert flows.balances(account) == (6_000, 6_000)
    assert sandbox.book.balance("EUR") == 6_000
    verify()


def test_a_transfer_is_reserved_on_the_one_side_and_seen_on_the_other_when_it_has_cleared(
    sandbox: RunningSandbox,
) -> None:
    source, destination = make_account(), make_account()
    flows.fund_over_the_bank(source, 10_000, sandbox)
    made = flows.transfer(source, destination, 2_500, reference="rent", metadata={"flat": "4b"})
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 7_500), (0, 0))
    receiver = flows.owner(destination)
    with pytest.raises(payments.TransactionNotFound):
        payments.see(actor=receiver, transaction_id=made.id)
    assert lists.transactions_of_customer(destination.customer_id, before=None, limit=10).rows == []
    flows.approve(made)
    flows.settle_everything()
    assert (flows.balances(source), flows.balances(destination)) == ((7_500, 7_500), (2_500, 2_500))
    seen = payments.see(actor=receiver, transaction_id=made.id)
    assert (seen.status, seen.reference, seen.metadata, seen.stage) == ("cleared", "rent", {}, None)
    assert payments.see(actor=flows.owner(source), transaction_id=made.id).metadata == {"flat": "4b"}
    assert [(e.direction, e.amount, e.balance_after) for e in Entry.objects.filter(account=source).order_by("id")] == [
        ("credit", 10_000, 10_000),
        ("debit", 2_500, 7_500),
    ]
    verify()


def test_the_whole_pipeline_runs_from_a_deposit_to_a_withdrawal_by_itself(sandbox: RunningSandbox) -> None:
    source, destination = make_account(), make_account()
    steps = [
        lambda: flows.deposit(source, 9_000),
        lambda: flows.transfer(source, destination, 3_000),
        lambda: flows.withdraw(destination, 1_000),
    ]
    for step in steps:
        run_until(flows.is_status(step(), "cleared"), sandbox=sandbox)
    assert (flows.balances(source), flows.balances(destination)) == ((6_000, 6_000), (2_000, 2_000))
    assert sandbox.book.balance("EUR") == 8_000
    verify()


def test_a_rejected_deposit_leaves_both_balances_as_they_were(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 5_000, reference="SBX-REJECT")
    flows.approve(made)
    flows.settle_everything()
    assert flows.status(made) == "failed: bank_rejected"
    assert flows.balances(account) == (0, 0)
    verify()


def test_a_rejected_withdrawal_gives_the_reservation_back(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 5_000, name="SBX-REJECT")
    assert flows.balances(account) == (5_000, 0)
    flows.approve(made)
    flows.settle_everything()
    assert flows.status(made) == "failed: bank_rejected"
    assert flows.balances(account) == (5_000, 5_000)
    verify()


def test_lack_of_funds_is_recorded_and_reserves_nothing(sandbox: RunningSandbox) -> None:
    source, destination = make_account(), make_account()
    flows.fund_over_the_bank(source, 1_000, sandbox)
    with pytest.raises(payments.InsufficientFunds) as refusal:
        flows.transfer(source, destination, 1_001, key="too much")
    recorded = refusal.value.facts["transaction"]
    assert flows.status(recorded) == "failed: insufficient_funds"
    assert flows.balances(source) == (1_000, 1_000)
    assert not WorkItem.objects.exists()
    with pytest.raises(payments.InsufficientFunds) as again:
        flows.transfer(source, destination, 1_001, key="too much")
    assert again.value.facts["transaction"] == recorded
    assert again.value.replayed
    run_until_idle()
    verify()


def test_a_pending_credit_funds_no_spend() -> None:
    account, other = make_account(), make_account()
    flows.deposit(account, 5_000)
    with pytest.raises(payments.InsufficientFunds):
        flows.transfer(account, other, 1)
    verify("--no-bank")


def test_staff_without_a_customer_can_not_move_money() -> None:
    from accounts.selectors import NotACustomer
    from wallet_project.utils.context import Actor, system_actor

    account = make_account(funded=1_000)
    other = make_account()
    staff = Actor(principal_id=actor_of(make_customer()).principal_id, customer_id=None, kind="user")
    for nobody in (staff, system_actor()):
        with pytest.raises(NotACustomer):
            payments.transfer(
                actor=nobody,
                source=account.id,
                destination=other.id,
                amount=payments.Money(1, "EUR"),
                key="k",
                request_hash=flows.HASH,
            )
    assert flows.balances(account) == (1_000, 1_000)
