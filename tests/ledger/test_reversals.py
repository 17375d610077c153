"""Who was paid gives it back: in full or in part, as often as he likes, and never more than he got."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from accounts.models import Account
from ledger.models import Entry, Transaction
from ledger.selectors import TransactionView
from ledger.services import holds, reversals
from tests.ledger import flows
from tests.ledger.test_api import SHAPE
from tests.ledger.test_escalations import freeze
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account, make_customer
from tests.support.pipeline import run_until_idle, verify

pytestmark = pytest.mark.django_db


def paid(source: Account, destination: Account, amount: int = 2_000) -> TransactionView:
    """A transfer that has cleared."""
    made = flows.transfer(source, destination, amount, metadata={"order": "7"})
    run_until_idle()
    assert flows.status(made) == "cleared"
    return made


def post(account: Account, made: TransactionView | UUID, body: Any, **headers: str) -> Any:
    identity = made if isinstance(made, UUID) else made.id
    path = f"/api/v1/transactions/{identity}/reversals"
    return api_client(account.customer).post(path, body, format="json", headers=headers or keyed())


def reverse(account: Account, made: TransactionView, amount: int | None, key: str = "") -> TransactionView:
    actor = flows.owner(account)
    return reversals.reverse(
        actor=actor,
        received=reversals.find_received(actor=actor, transaction_id=made.id),
        amount=amount,
        reason="sent back",
        key=key or uuid4().hex,
        request_hash=flows.HASH,
    ).transaction


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_all_that_was_received_goes_back() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    answer = post(destination, made, {"reason": "sold out"})
    back = answer.json()
    assert answer.status_code == 202
    assert (list(back), back["kind"], back["status"], back["amount"]) == (SHAPE, "reversal", "pending", 2_000)
    assert (back["source"], back["destination"]) == (str(destination.id), str(source.id))
    assert (back["reverses"], back["reference"]) == (str(made.id), "sold out")
    assert flows.balances(destination) == (2_000, 0)
    path = f"/api/v1/transactions/{back['id']}"
    assert api_client(destination.customer).get(path).json() == back
    # The payer sees it when he has the money.
    assert api_client(source.customer).get(path).status_code == 404
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 10_000), (0, 0))
    assert api_client(source.customer).get(path).json()["reverses"] == str(made.id)
    assert Entry.objects.filter(transaction=back["id"]).count() == 2
    verify("--no-bank")


def test_it_goes_back_in_parts_and_the_last_part_is_what_is_left() -> None:
    source, destination = make_account(funded=10_000), make_account(funded=5_000)
    made = paid(source, destination)
    assert post(destination, made, {"amount": 500, "reason": "one"}).status_code == 202
    assert post(destination, made, {"amount": 700, "reason": "two"}).status_code == 202
    too_much = post(destination, made, {"amount": 801, "reason": "three"})
    assert (*refusal(too_much), too_much.json()["left"]) == (422, "reversal_exceeds", 800)
    rest = post(destination, made, {"reason": "the rest"})
    assert (rest.status_code, rest.json()["amount"]) == (202, 800)
    nothing = post(destination, made, {"reason": "once more"})
    assert (*refusal(nothing), nothing.json()["left"]) == (422, "reversal_exceeds", 0)
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 10_000), (5_000, 5_000))
    shown = api_client(source.customer).get(f"/api/v1/transactions/{made.id}").json()
    assert (shown["status"], shown["amount"], shown["reversed_amount"]) == ("cleared", 2_000, 2_000)
    assert Transaction.objects.filter(kind="reversal").count() == 3
    verify("--no-bank")


def test_what_is_being_cleared_is_not_waited_for(owner_connection: psycopg.Connection) -> None:
    source, destination = make_account(funded=10_000), make_account(funded=5_000)
    made = flows.transfer(source, destination, 2_000, expires_in=600)
    flows.approve(made)
    holds.capture(actor=flows.owner(destination), transaction_id=made.id, amount=None, request_hash=flows.HASH)
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM ledger_transaction WHERE id = %s FOR NO KEY UPDATE", [made.id])
        assert refusal(post(destination, made, {"reason": "early"})) == (409, "not_reversible")


def test_of_a_hold_goes_back_what_was_captured() -> None:
    source, destination = make_account(funded=10_000), make_account(funded=5_000)
    made = flows.transfer(source, destination, 2_000, expires_in=600)
    flows.approve(made)
    assert refusal(post(destination, made, {"reason": "early"})) == (409, "not_reversible")
    holds.capture(actor=flows.owner(destination), transaction_id=made.id, amount=1_500, request_hash=flows.HASH)
    assert refusal(post(destination, made, {"reason": "early"})) == (409, "not_reversible")
    run_until_idle()
    assert refusal(post(destination, made, {"amount": 1_501, "reason": "x"})) == (422, "reversal_exceeds")
    assert post(destination, made, {"reason": "all of it"}).json()["amount"] == 1_500
    run_until_idle()
    assert flows.balances(source) == (10_000, 10_000)
    verify("--no-bank")


def test_a_cancelled_reversal_may_be_asked_for_again() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    back = reverse(destination, made, None)
    client = api_client(destination.customer)
    assert client.post(f"/api/v1/transactions/{back.id}/cancel").json()["failure"]["code"] == "cancelled"
    assert post(destination, made, {"reason": "after all"}).json()["amount"] == 2_000
    run_until_idle()
    assert flows.balances(source) == (10_000, 10_000)
    verify("--no-bank")


def test_what_was_spent_meanwhile_can_not_be_given_back() -> None:
    source, destination, other = make_account(funded=10_000), make_account(), make_account()
    made = paid(source, destination)
    paid(destination, other, 1_500)
    key = keyed()
    answer = post(destination, made, {"reason": "sorry"}, **key)
    assert refusal(answer) == (422, "insufficient_funds")
    recorded = Transaction.objects.get(id=answer.json()["transaction"])
    assert (recorded.kind, recorded.status, recorded.failure) == ("reversal", "failed", "insufficient_funds")
    again = post(destination, made, {"reason": "sorry"}, **key)
    assert (refusal(again), again["Idempotent-Replayed"]) == ((422, "insufficient_funds"), "true")
    assert again.json()["transaction"] == str(recorded.id)
    # What failed takes nothing of what is left.
    assert post(destination, made, {"amount": 500, "reason": "a part"}).status_code == 202
    run_until_idle()
    assert flows.balances(source) == (8_500, 8_500)
    verify("--no-bank")


def test_the_same_request_again_is_the_same_reversal() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, key = paid(source, destination), keyed()
    first = post(destination, made, {"reason": "sold out"}, **key)
    run_until_idle()
    again = post(destination, made, {"reason": "sold out"}, **key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["id"]) == (202, "true", first.json()["id"])
    assert again.json()["status"] == "cleared"
    other = post(destination, made, {"reason": "sold out", "amount": 1}, **key)
    assert refusal(other) == (422, "idempotency_key_reused")
    assert Transaction.objects.filter(kind="reversal").count() == 1


def test_the_same_key_does_not_reverse_two_transfers() -> None:
    source, destination = make_account(funded=10_000), make_account()
    one, two, key = paid(source, destination), paid(source, destination), keyed()
    assert post(destination, one, {"reason": "x"}, **key).status_code == 202
    assert refusal(post(destination, two, {"reason": "x"}, **key)) == (422, "idempotency_key_reused")


def test_who_may_give_back_what() -> None:
    source, destination, stranger = make_account(funded=10_000), make_account(), make_account()
    pending = flows.transfer(source, destination, 10)
    assert refusal(post(destination, pending, {"reason": "x"})) == (404, "transaction_not_found")
    made = paid(source, destination)
    for somebody in (source, stranger):
        assert refusal(post(somebody, made, {"reason": "x"})) == (404, "transaction_not_found")
    assert refusal(post(destination, uuid4(), {"reason": "x"})) == (404, "transaction_not_found")
    deposit = flows.deposit(destination, 500)
    assert refusal(post(destination, deposit, {"reason": "x"})) == (409, "not_reversible")
    back = reverse(destination, made, 100)
    run_until_idle()
    assert refusal(post(source, back, {"reason": "x"})) == (409, "not_reversible")
    assert api_client().post(f"/api/v1/transactions/{made.id}/reversals").status_code == 401


@pytest.mark.parametrize(
    "body",
    [{}, {"reason": ""}, {"reason": "x" * 141}, {"reason": "x", "amount": 0}, {"reason": "x", "amount": "1"},
     {"reason": "x", "amount": None}, {"reason": "x", "currency": "EUR"}, {"reason": "a\tb"}],
)  # fmt: skip
def test_a_reversal_that_is_not_understood_leaves_no_trace(body: dict[str, Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, key = paid(source, destination), keyed()
    answer = post(destination, made, body, **key)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert post(destination, made, {"reason": "x"}, **key).status_code == 202


def test_a_reversal_needs_a_key() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    client = api_client(destination.customer)
    answer = client.post(f"/api/v1/transactions/{made.id}/reversals", {"reason": "x"}, format="json")
    assert refusal(answer) == (400, "idempotency_key_required")


def test_a_receiver_who_is_frozen_gives_nothing_back_and_one_who_is_paid_back_may_be() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    freeze(source)
    assert post(destination, made, {"amount": 500, "reason": "x"}).status_code == 202
    freeze(destination)
    answer = post(destination, made, {"amount": 500, "reason": "x"})
    assert (*refusal(answer), answer.json()["side"]) == (422, "account_not_open", "debit")
    assert "leg" not in answer.json()


def test_a_transfer_between_ones_own_accounts_is_given_back_too() -> None:
    customer = make_customer()
    one, two = make_account(customer, funded=1_000), make_account(customer)
    made = paid(one, two, 400)
    assert post(two, made, {"reason": "back again"}).status_code == 202
    run_until_idle()
    assert flows.balances(one) == (1_000, 1_000)


def test_reversals_are_listed_for_both_sides() -> None:
    source, destination, stranger = make_account(funded=10_000), make_account(), make_account()
    made = paid(source, destination)
    for amount in (100, 200, 300):
        reverse(destination, made, amount)
    path = f"/api/v1/transactions/{made.id}/reversals"
    payee, payer = api_client(destination.customer), api_client(source.customer)
    first = payee.get(f"{path}?limit=2").json()
    assert [row["amount"] for row in first["results"]] == [300, 200]
    assert [row["amount"] for row in payee.get(first["next"]).json()["results"]] == [100]
    assert payer.get(path).json() == {"results": [], "next": None}
    run_until_idle()
    assert [row["amount"] for row in payer.get(path).json()["results"]] == [300, 200, 100]
    assert api_client(stranger.customer).get(path).status_code == 404
    assert payer.get(f"{path}?cursor=%00").status_code == 400


def test_a_reversal_asks_the_database_twice(django_assert_num_queries: Callable[..., Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    client, path = api_client(destination.customer), f"/api/v1/transactions/{made.id}/reversals"
    client.get("/api/v1/accounts")
    with django_assert_num_queries(2):
        assert client.post(path, {"amount": 10, "reason": "x"}, format="json", headers=keyed()).status_code == 202
    with django_assert_num_queries(2):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize("_round", range(3))
def test_twenty_reversals_at_once_never_exceed_what_was_cleared(_round: int) -> None:
    source, destination = make_account(funded=10_000), make_account(funded=10_000)
    made = paid(source, destination)
    results = at_once(*[lambda: reverse(destination, made, 300) for _ in range(20)])
    assert sum(isinstance(result, TransactionView) for result in results) == 6
    assert [result.code for result in results if isinstance(result, Exception)] == ["reversal_exceeds"] * 14
    assert reverse(destination, made, None).amount == 200
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 10_000), (10_000, 10_000))
    verify("--no-bank")


def test_of_twenty_that_give_all_back_at_once_one_does() -> None:
    source, destination = make_account(funded=10_000), make_account(funded=10_000)
    made = paid(source, destination)
    results = at_once(*[lambda: reverse(destination, made, None) for _ in range(20)])
    assert [result.amount for result in results if isinstance(result, TransactionView)] == [2_000]
    assert [result.code for result in results if isinstance(result, Exception)] == ["reversal_exceeds"] * 19
    run_until_idle()
    assert flows.balances(source) == (10_000, 10_000)
    verify("--no-bank")


def test_the_same_reversal_twenty_times_at_once_is_one() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = paid(source, destination)
    results = at_once(*[lambda: reverse(destination, made, 1_500, "a-key") for _ in range(20)])
    assert len({result.id for result in results}) == 1
    run_until_idle()
    assert flows.balances(source) == (9_500, 9_500)
    verify("--no-bank")


def test_reversals_and_payments_at_once_spend_what_is_there_and_no_more() -> None:
    source, destination, other = make_account(funded=10_000), make_account(), make_account()
    made = paid(source, destination)
    results = at_once(
        *[lambda: reverse(destination, made, 300) for _ in range(10)],
        *[lambda: flows.transfer(destination, other, 300) for _ in range(10)],
    )
    done = [result for result in results if isinstance(result, TransactionView)]
    assert len(done) == 6
    assert {result.code for result in results if isinstance(result, Exception)} == {"insufficient_funds"}
    run_until_idle()
    assert flows.balances(destination) == (200, 200)
    verify("--no-bank")
