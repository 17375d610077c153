"""Customers who do everything at once, over the API and its use cases, with real threads."""

from typing import Any

import pytest
from django.utils import timezone

from compliance.services.screening import screen_due
from ledger.models import Transaction
from ledger.services import payments
from ledger.services.clearing import clear_due
from tests.ledger import flows
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, make_account, session_token
from tests.support.pipeline import run_until, run_until_idle, verify
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db


def test_the_same_key_twenty_times_at_once_makes_one_transaction() -> None:
    source, destination = make_account(funded=10_000), make_account()
    token = session_token(source.customer.user)
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 700, "currency": "EUR"}

    def send() -> Any:
        client = api_client()
        client.credentials(HTTP_X_SESSION_TOKEN=token)
        return client.post("/api/v1/transfers", body, format="json", headers={"Idempotency-Key": "once"})

    answers = at_once(*[send] * 20)
    assert [answer.status_code for answer in answers] == [202] * 20
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer for answer in answers) == 19
    assert Transaction.objects.filter(kind="transfer").count() == 1
    run_until_idle()
    assert flows.balances(source) == (9_300, 9_300)
    verify("--no-bank")


def test_withdrawals_at_once_pay_out_exactly_what_is_affordable(sandbox: RunningSandbox) -> None:
    account = make_account()
    flows.fund_over_the_bank(account, 1_000, sandbox)
    results = at_once(*[lambda: flows.withdraw(account, 300, name="SBX-SETTLE")] * 12)
    made = [result for result in results if not isinstance(result, Exception)]
    assert len(made) == 3
    assert {type(result) for result in results if result not in made} == {payments.InsufficientFunds}
    assert flows.balances(account) == (1_000, 100)
    run_until(lambda: all(flows.status(view) == "cleared" for view in made), sandbox=sandbox)
    assert flows.balances(account) == (100, 100)
    assert sandbox.book.balance("EUR") == 100
    assert Transaction.objects.filter(kind="withdrawal", failure="insufficient_funds").count() == 9
    verify()


def test_opposing_transfers_while_they_clear_never_deadlock() -> None:
    one, two = make_account(funded=5_000), make_account(funded=5_000)

    def send(source: Any, destination: Any) -> int:
        for _ in range(15):
            flows.transfer(source, destination, 3)
        return 15

    def screen() -> int:
        return sum(screen_due(now=timezone.now(), limit=3) for _ in range(20))

    def clear() -> int:
        return sum(clear_due(limit=4) for _ in range(20))

    results = at_once(lambda: send(one, two), lambda: send(two, one), screen, screen, clear, clear)
    assert [result for result in results if isinstance(result, Exception)] == []
    run_until_idle()
    assert (flows.balances(one), flows.balances(two)) == ((5_000, 5_000), (5_000, 5_000))
    assert Transaction.objects.filter(kind="transfer", status="cleared").count() == 30
    verify("--no-bank")
