"""The payer may cancel what is pending and no bank has yet."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from ledger import steps
from ledger.models import RailTransfer
from ledger.rails import configured_rail
from ledger.services import payments, rails
from tests.ledger import flows
from tests.ledger.test_escalations import freeze
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db


def test_a_pending_transfer_is_cancelled_and_its_funds_released() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    client = api_client(source.customer)
    first = client.post(f"/api/v1/transactions/{made.id}/cancel")
    assert first.status_code == 200
    assert (first.json()["status"], first.json()["failure"]["code"], first.json()["stage"]) == (
        "failed",
        "cancelled",
        None,
    )
    assert flows.balances(source) == (5_000, 5_000)
    again = client.post(f"/api/v1/transactions/{made.id}/cancel")
    assert (again.status_code, again.json()) == (200, first.json())
    run_until_idle()
    assert flows.balances(destination) == (0, 0)
    verify("--no-bank")


def test_a_group_of_fifty_is_cancelled_in_as_few_statements_as_one(
    django_assert_num_queries: Callable[..., Any],
) -> None:
    source, destination = make_account(funded=5_000), make_account()
    client = api_client(source.customer)
    part = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
    group = client.post("/api/v1/groups", {"transfers": [part] * 50}, format="json", headers=keyed()).json()
    # Of these four look, two lock and end it, and two begin and commit.
    with django_assert_num_queries(8):
        assert client.post(f"/api/v1/transactions/{group['transactions'][0]['id']}/cancel").status_code == 200
    assert flows.balances(source) == (5_000, 5_000)


def test_what_has_cleared_or_failed_is_not_cancelled() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    run_until_idle()
    for client in (api_client(source.customer), api_client(destination.customer)):
        answer = client.post(f"/api/v1/transactions/{made.id}/cancel")
        assert answer.status_code == 409
        assert (answer.json()["code"], answer.json()["transaction_status"]) == ("not_cancellable", "cleared")
    assert flows.balances(destination) == (1_000, 1_000)
    verify("--no-bank")


def test_whoever_would_receive_it_cancels_nothing_also_when_its_payer_has() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000, expires_in=3_600)
    flows.approve(made)
    with transaction.atomic():
        steps.park([made.id], error="a test")
    path = f"/api/v1/transactions/{made.id}/cancel"
    for status in ("pending", "failed"):
        refused = api_client(destination.customer).post(path)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")
        assert refused.json()["transaction_status"] == status
        assert api_client(source.customer).post(path).status_code == 200
    assert flows.balances(source) == (5_000, 5_000)
    verify("--no-bank")


def test_an_approved_withdrawal_is_cancelled_while_no_bank_has_it(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000)
    flows.approve(made)
    assert payments.cancel(actor=flows.owner(account), transaction_id=made.id).failure == "cancelled"
    assert RailTransfer.objects.get(transaction=made.id).status == "cancelled"
    run_until_idle()
    assert flows.balances(account) == (5_000, 5_000)
    assert sandbox.book.balance("EUR") == 5_000
    verify()


def test_a_withdrawal_that_the_bank_has_is_not_cancelled(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 5_000, sandbox)
    made = flows.withdraw(account, 2_000)
    flows.approve(made)
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(1))
    with pytest.raises(payments.NotCancellable):
        payments.cancel(actor=flows.owner(account), transaction_id=made.id)
    run_until(flows.is_status(made, "cleared"), sandbox=sandbox)
    verify()


def test_a_deposit_is_cancelled_by_who_asked_for_it(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 2_000)
    assert payments.cancel(actor=flows.owner(account), transaction_id=made.id).status == "failed"
    run_until_idle()
    assert sandbox.book.balance("EUR") == 0
    verify()


def test_a_deposit_that_the_bank_has_collected_is_not_cancelled(sandbox: RunningSandbox) -> None:
    account = make_account()
    made = flows.deposit(account, 2_000, reference="SBX-SETTLE")
    flows.approve(made)
    rails.dispatch_rails(rail=configured_rail(), now=timezone.now(), rng=Random(1))
    assert RailTransfer.objects.get(transaction=made.id).status == "confirmed"
    with pytest.raises(payments.NotCancellable):
        payments.cancel(actor=flows.owner(account), transaction_id=made.id)
    verify()
    run_until_idle()
    assert flows.balances(account) == (2_000, 2_000)
    verify()


def test_a_frozen_payer_may_still_cancel() -> None:
    source, destination = make_account(funded=5_000), make_account()
    made = flows.transfer(source, destination, 1_000)
    freeze(source)
    assert payments.cancel(actor=flows.owner(source), transaction_id=made.id).failure == "cancelled"
    assert flows.balances(source) == (5_000, 5_000)
    verify("--no-bank")


def test_cancelling_while_it_is_handed_to_the_bank_ends_one_way_or_the_other(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 20_000, sandbox)
    made = [flows.withdraw(account, 500, name="SBX-SETTLE") for _ in range(8)]
    flows.approve(*made)
    actor, rail = flows.owner(account), configured_rail()

    def cancel_all() -> list[str]:
        outcomes = []
        for view in made:
            try:
                outcomes.append(payments.cancel(actor=actor, transaction_id=view.id).failure)
            except payments.NotCancellable:
                outcomes.append("kept")
        return outcomes

    def dispatch() -> int:
        return sum(rails.dispatch_rails(rail=rail, now=timezone.now(), rng=Random(1), limit=2) for _ in range(6))

    outcomes, *others = at_once(cancel_all, dispatch, dispatch)
    assert not [result for result in others if isinstance(result, Exception)]
    run_until(lambda: all(flows.status(view) != "pending" for view in made), sandbox=sandbox)
    for view, outcome in zip(made, outcomes, strict=True):
        assert flows.status(view) == ("failed: cancelled" if outcome == "cancelled" else "cleared")
    left = 20_000 - 500 * outcomes.count("kept")
    assert flows.balances(account) == (left, left)
    assert sandbox.book.balance("EUR") == left
    verify()


def test_twenty_who_cancel_the_same_at_once_all_find_it_cancelled() -> None:
    account, other = make_account(funded=500), make_account()
    made = flows.transfer(account, other, 100)
    cancelled = at_once(
        *[lambda: payments.cancel(actor=flows.owner(account), transaction_id=made.id) for _ in range(20)]
    )
    assert [seen.failure for seen in cancelled] == ["cancelled"] * 20
    assert flows.balances(account) == (500, 500)
