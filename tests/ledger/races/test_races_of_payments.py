"""Deposits, withdrawals, transfers and groups: what is there is spent once, and a key makes one thing."""

import pytest

from ledger.models import Transaction
from ledger.services.clearing import clear_due
from tests.ledger import flows
from tests.ledger.races.twenty import TWENTY, answers, deposit, outcomes, pay, transfer, withdraw
from tests.ledger.test_races import at_once
from tests.support.factories import make_account
from tests.support.pipeline import run_until_idle, verify

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]


def test_twenty_transfers_spend_what_is_there_and_no_more(race: int) -> None:
    source, destination = make_account(funded=1_000), make_account()
    answered = answers([transfer(source, destination, 300) for _ in range(TWENTY)])
    assert outcomes(answered) == {"done": 3, "422 insufficient_funds": 17}
    assert flows.balances(source) == (1_000, 100)
    assert Transaction.objects.filter(kind="transfer", status="failed").count() == 17
    run_until_idle()
    assert flows.balances(destination) == (900, 900)
    verify("--no-bank")


def test_twenty_withdrawals_spend_what_is_there_and_no_more(race: int) -> None:
    account = make_account(funded=1_000)
    answered = answers([withdraw(account, 300) for _ in range(TWENTY)])
    assert outcomes(answered) == {"done": 3, "422 insufficient_funds": 17}
    assert flows.balances(account) == (1_000, 100)
    verify("--no-bank")


def test_twenty_groups_are_reserved_whole_or_not_at_all(race: int) -> None:
    source, one, two = make_account(funded=1_000), make_account(), make_account()
    answered = answers([pay(source, (one, 300), (two, 100)) for _ in range(TWENTY)])
    assert outcomes(answered) == {"done": 2, "422 insufficient_funds": 18}
    assert flows.balances(source) == (1_000, 200)
    run_until_idle()
    assert (flows.balances(one), flows.balances(two)) == ((600, 600), (200, 200))
    verify("--no-bank")


def test_all_that_spends_spends_the_same_money_once(race: int) -> None:
    source, one, two = make_account(funded=1_000), make_account(), make_account()
    ways = (
        lambda: transfer(source, one, 300),
        lambda: transfer(source, two, 300, capture="manual"),
        lambda: withdraw(source, 300),
        lambda: pay(source, (one, 200), (two, 100)),
    )
    answered = answers([ways[number % len(ways)]() for number in range(TWENTY)])
    assert outcomes(answered) == {"done": 3, "422 insufficient_funds": 17}
    assert flows.balances(source) == (1_000, 100)
    verify("--no-bank")


@pytest.mark.parametrize("kind", ["deposit", "withdrawal", "transfer", "group"])
def test_a_key_makes_one_thing_whatever_else_is_asked_with_it(kind: str, race: int) -> None:
    """Ten ask for one thing and ten for another with the same key: whoever was first is who is answered."""
    account, other = make_account(funded=5_000), make_account()
    ask = {
        "deposit": lambda amount: deposit(account, amount, key="once"),
        "withdrawal": lambda amount: withdraw(account, amount, key="once"),
        "transfer": lambda amount: transfer(account, other, amount, key="once"),
        "group": lambda amount: pay(account, (other, amount), (other, 1), key="once"),
    }[kind]
    answered = answers([ask(100 + number % 2) for number in range(TWENTY)])
    assert outcomes(answered) == {"done": 10, "422 idempotency_key_reused": 10}
    done = [answer for answer in answered if answer.status_code < 300]
    assert len({answer.json()["id"] for answer in done}) == 1
    assert sum("Idempotent-Replayed" in answer for answer in done) == 9
    made = Transaction.objects.exclude(kind="exchange")
    assert made.count() == (2 if kind == "group" else 1)
    verify("--no-bank")


def test_opposing_transfers_deposits_and_batches_never_deadlock(race: int) -> None:
    one, two = make_account(funded=5_000), make_account(funded=5_000)
    spend = [transfer(one, two, 7) if number % 2 else transfer(two, one, 7) for number in range(TWENTY - 4)]
    results = at_once(*spend, *[lambda: [clear_due(limit=3) for _ in range(5)]] * 2, run_until_idle, run_until_idle)
    assert [result for result in results if isinstance(result, Exception)] == []
    assert outcomes(results[: len(spend)]) == {"done": len(spend)}
    run_until_idle()
    assert (flows.balances(one), flows.balances(two)) == ((5_000, 5_000), (5_000, 5_000))
    verify("--no-bank")
