"""What a limit refuses, as its customer is told: on record like a lack of funds, and nothing of anybody's numbers."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Account
from ledger import posting
from ledger.models import Transaction
from ledger.services import groups
from ledger.services.groups import GroupView, Part
from tests.ledger import flows
from tests.ledger.test_escalations import close_by_hand
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.context import system_actor
from wallet_project.utils.money import Money

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("both_ways")]


def limit(account: Account, direction: str, per_day: int) -> None:
    posting.set_limit(
        owner_id=account.id,
        scope="account",
        direction=direction,
        currency=account.currency,
        per_transaction=None,
        per_day=per_day,
        per_30_days=None,
        actor=system_actor(),
        reason="a test",
        request_id="",
    )


def transfer(source: Account, destination: Account, amount: int) -> dict[str, Any]:
    return {"source": str(source.id), "destination": str(destination.id), "amount": amount, "currency": "EUR"}


def post(account: Account, path: str, body: Any, **headers: str) -> Any:
    return api_client(account.customer).post(f"/api/v1/{path}", body, format="json", headers=headers or keyed())


def pay(source: Account, *parts: tuple[Account, int]) -> GroupView:
    return groups.pay(
        actor=flows.owner(source),
        transfers=[Part(source.id, destination.id, Money(amount, "EUR")) for destination, amount in parts],
        key=uuid4().hex,
        request_hash=flows.HASH,
    )


def test_beyond_a_limit_is_a_422_that_names_the_failed_transaction() -> None:
    source, destination = make_account(funded=10_000), make_account()
    limit(source, "out", 1_000)
    key = keyed()
    answer = post(source, "transfers", transfer(source, destination, 1_001), **key)
    assert (answer.status_code, answer.json()["code"]) == (422, "limit_exceeded")
    recorded = api_client(source.customer).get(f"/api/v1/transactions/{answer.json()['transaction']}").json()
    assert (recorded["status"], recorded["failure"]["code"], recorded["amount"]) == ("failed", "limit_exceeded", 1_001)
    again = post(source, "transfers", transfer(source, destination, 1_001), **key)
    assert (again.status_code, again["Idempotent-Replayed"]) == (422, "true")
    assert again.json()["transaction"] == answer.json()["transaction"]
    assert "1000" not in str(answer.json()["detail"])
    assert post(source, "transfers", transfer(source, destination, 1_000)).status_code == 202
    verify("--no-bank")


def test_a_group_counts_towards_a_limit_as_a_whole() -> None:
    source, one, two = make_account(funded=10_000), make_account(), make_account()
    limit(source, "out", 1_000)
    answer = post(source, "groups", {"transfers": [transfer(source, one, 600), transfer(source, two, 401)]})
    assert (answer.status_code, answer.json()["code"]) == (422, "limit_exceeded")
    assert [row.failure for row in Transaction.objects.filter(kind="transfer")] == ["limit_exceeded"] * 2
    made = post(source, "groups", {"transfers": [transfer(source, one, 600), transfer(source, two, 400)]}).json()
    assert post(source, "transfers", transfer(source, one, 1)).json()["code"] == "limit_exceeded"
    cancel = f"transactions/{made['transactions'][0]['id']}/cancel"
    assert api_client(source.customer).post(f"/api/v1/{cancel}").status_code == 200
    assert post(source, "transfers", transfer(source, one, 1_000)).status_code == 202
    verify("--no-bank")


def test_a_fee_is_no_part_of_what_is_limited(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"flat": 50}]}}
    source, destination = make_account(funded=10_000), make_account()
    limit(source, "out", 1_000)
    assert post(source, "transfers", transfer(source, destination, 1_000)).status_code == 202
    verify("--no-bank")


@pytest.mark.parametrize("place", [0, 1])
def test_one_receiver_who_may_not_take_it_fails_the_whole_group(place: int) -> None:
    source, free, limited = make_account(funded=10_000), make_account(), make_account()
    limit(limited, "in", 500)
    parts = [(free, 100)]
    parts.insert(place, (limited, 501))
    made, other = pay(source, *parts), pay(source, (free, 10), (limited, 500))
    run_until_idle()
    assert {flows.status(view) for view in made.transactions} == {"failed: receiver_limit"}
    assert {flows.status(view) for view in other.transactions} == {"cleared"}
    shown = api_client(source.customer).get(f"/api/v1/groups/{made.id}").json()
    assert {row["failure"]["code"] for row in shown["transactions"]} == {"receiver_limit"}
    assert "500" not in str(shown["transactions"][0]["failure"])
    assert (flows.balances(source), flows.balances(free)) == ((9_490, 9_490), (10, 10))
    verify("--no-bank")


def test_a_receiver_who_was_closed_and_one_who_is_limited_fail_a_group_once() -> None:
    source, closed, limited = make_account(funded=10_000), make_account(), make_account()
    limit(limited, "in", 500)
    made = pay(source, (closed, 100), (limited, 501))
    flows.approve(*made.transactions)
    close_by_hand(closed)
    run_until_idle()
    assert {flows.status(view) for view in made.transactions} == {"failed: account_closed"}
    assert flows.balances(source) == (10_000, 10_000)
    verify("--no-bank")


def test_groups_at_once_stay_within_a_limit() -> None:
    source, one, two = make_account(funded=10_000), make_account(), make_account()
    limit(source, "out", 1_000)
    results = at_once(*[lambda: pay(source, (one, 100), (two, 200)) for _ in range(20)])
    assert sum(isinstance(result, GroupView) for result in results) == 3
    assert [result.code for result in results if isinstance(result, Exception)] == ["limit_exceeded"] * 17
    run_until_idle()
    assert flows.balances(source) == (9_100, 9_100)
    verify("--no-bank")
