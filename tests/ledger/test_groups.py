"""Groups: several transfers that are reserved, screened, cleared and failed together, all or none."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from compliance.services.screening import screen_due
from ledger import steps
from ledger.models import Transaction, WorkItem
from ledger.services import clearing, groups, payments
from ledger.services.groups import GroupView, Part
from tests.ledger import flows
from tests.ledger.test_api import SHAPE, UNKNOWN_ID
from tests.ledger.test_clearing import poison
from tests.ledger.test_escalations import close_by_hand, freeze, unfreeze
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, keyed, make_account, make_customer
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.money import Money

pytestmark = pytest.mark.django_db

Wanted = Sequence[tuple[Account, Account, int]]


def pay(wanted: Wanted, *, key: str = "", **more: Any) -> GroupView:
    return groups.pay(
        actor=flows.owner(wanted[0][0]),
        transfers=[Part(one.id, other.id, Money(amount, one.currency), **more) for one, other, amount in wanted],
        key=key or uuid4().hex,
        request_hash=flows.HASH,
    )


def body_of(wanted: Wanted) -> dict[str, Any]:
    return {
        "transfers": [
            {"source": str(one.id), "destination": str(other.id), "amount": amount, "currency": one.currency}
            for one, other, amount in wanted
        ]
    }


def post(account: Account, body: Any, **headers: str) -> Any:
    return api_client(account.customer).post("/api/v1/groups", body, format="json", headers=headers or keyed())


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def statuses(group: GroupView) -> set[str]:
    return {flows.status(view) for view in group.transactions}


def approve(group: GroupView) -> None:
    flows.approve(*group.transactions)


def test_a_payment_is_split_over_receivers() -> None:
    source, one, two = make_account(funded=10_000), make_account(), make_account()
    answer = post(source, body_of([(source, one, 2_000), (source, two, 3_000), (source, one, 500)]))
    made = answer.json()
    assert (answer.status_code, list(made), made["status"]) == (202, ["id", "status", "transactions"], "pending")
    assert [(row["destination"], row["amount"]) for row in made["transactions"]] == [
        (str(one.id), 2_000), (str(two.id), 3_000), (str(one.id), 500),
    ]  # fmt: skip
    assert all(list(row) == SHAPE and row["group"] == made["id"] for row in made["transactions"])
    assert flows.balances(source) == (10_000, 4_500)
    client = api_client(source.customer)
    assert client.get(f"/api/v1/groups/{made['id']}").json() == made
    assert WorkItem.objects.get().unit_id.hex == made["id"].replace("-", "")
    run_until_idle()
    cleared = client.get(f"/api/v1/groups/{made['id']}").json()
    assert (cleared["status"], {row["status"] for row in cleared["transactions"]}) == ("cleared", {"cleared"})
    assert [flows.balances(account)[0] for account in (source, one, two)] == [4_500, 2_500, 3_000]
    verify("--no-bank")


def test_a_group_may_leave_several_accounts_of_its_customer() -> None:
    customer = make_customer()
    one, two, three = (make_account(customer, funded=1_000) for _ in range(3))
    made = pay([(one, two, 900), (two, three, 900), (three, make_account(), 50)])
    run_until_idle()
    assert statuses(made) == {"cleared"}
    assert [flows.balances(account)[0] for account in (one, two, three)] == [100, 1_000, 1_850]
    verify("--no-bank")


def test_what_is_received_in_a_group_does_not_pay_for_another_part_of_it() -> None:
    customer = make_customer()
    full, empty = make_account(customer, funded=1_000), make_account(customer)
    with pytest.raises(payments.InsufficientFunds):
        pay([(full, empty, 900), (empty, make_account(), 900)])
    assert flows.balances(full) == (1_000, 1_000)


def test_a_group_that_lacks_funds_fails_as_a_whole_and_on_record() -> None:
    source, one, two = make_account(funded=1_000), make_account(), make_account()
    key, body = keyed(), body_of([(source, one, 600), (source, two, 600)])
    answer = post(source, body, **key)
    assert refusal(answer) == (422, "insufficient_funds")
    recorded = Transaction.objects.filter(kind="transfer").order_by("id")
    assert [row.failure for row in recorded] == ["insufficient_funds"] * 2
    assert answer.json()["transaction"] == str(recorded[0].id)
    again = post(source, body, **key)
    assert (refusal(again), again["Idempotent-Replayed"]) == ((422, "insufficient_funds"), "true")
    assert flows.balances(source) == (1_000, 1_000)
    failed = api_client(source.customer).get(f"/api/v1/groups/{recorded[0].group_id}").json()
    assert failed["status"] == "failed"
    verify("--no-bank")


def test_one_part_that_is_refused_refuses_all_and_is_named() -> None:
    source, good, theirs = make_account(funded=10_000), make_account(), make_account(funded=500)
    dollars, requested = make_account(currency="USD"), make_account(make_customer(verified=False))
    fine = (source, good, 100)
    wanted: dict[str, tuple[Wanted, int, str]] = {
        "somebody else's": ([fine, fine, (theirs, good, 1)], 404, "account_not_found"),
        "another currency": ([fine, fine, (source, dollars, 1)], 422, "currency_mismatch"),
        "not open": ([fine, fine, (source, requested, 1)], 422, "account_not_open"),
        "to itself": ([fine, fine, (source, source, 1)], 422, "same_account"),
    }
    for parts, status, code in wanted.values():
        key = keyed()
        answer = post(source, body_of(parts), **key)
        assert (*refusal(answer), answer.json()["transfer"]) == (status, code, 2)
        assert "leg" not in answer.json()
        assert post(source, body_of([fine, fine]), **key).status_code == 202
    body = body_of([fine, fine])
    body["transfers"][0]["destination"] = UNKNOWN_ID
    assert (*refusal(answer := post(source, body)), answer.json()["transfer"]) == (404, "account_not_found", 0)
    assert Transaction.objects.filter(kind="transfer").count() == 2 * len(wanted)
    verify("--no-bank")


def test_metadata_of_a_payment_are_its_customers_own_whatever_they_say() -> None:
    source, good = make_account(funded=10_000), make_account()
    body = body_of([(source, good, 1), (source, make_account(), 1)])
    body["transfers"][1] |= {"destination": str(uuid4()), "metadata": {"fee_of": "x"}}
    answer = post(source, body)
    assert (*refusal(answer), answer.json()["transfer"]) == (404, "account_not_found", 1)


def test_a_group_that_is_not_understood_leaves_no_trace() -> None:
    source, destination = make_account(funded=10_000), make_account()
    fine = body_of([(source, destination, 1)] * 2)["transfers"]
    wanted = {
        "transfers": [{}, {"transfers": None}, {"transfers": {}}, {"transfers": []}, {"transfers": fine[:1]},
                      {"transfers": fine * 26}],
        "transfers.1.amount": [{"transfers": [fine[0], fine[1] | {"amount": 0}]}],
        "transfers.1.capture": [{"transfers": [fine[0], fine[1] | {"capture": "manual"}]}],
        "transfers.0.metadata": [{"transfers": [fine[0] | {"metadata": {"a": 1}}, fine[1]]}],
        "capture": [{"transfers": fine, "capture": "manual"}],
    }  # fmt: skip
    for field, bodies in wanted.items():
        for body in bodies:
            answer = post(source, body)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field), body
    assert post(source, {"transfers": fine[:1]}).json()["errors"][0]["detail"] == "A group has 2 to 50 transfers."
    assert not Transaction.objects.filter(kind="transfer").exists()
    client = api_client(source.customer)
    assert refusal(client.post("/api/v1/groups", {"transfers": fine}, format="json")) == (
        400,
        "idempotency_key_required",
    )


def test_fifty_transfers_with_all_the_metadata_they_may_have_are_one_group() -> None:
    source, destination = make_account(funded=10_000), make_account()
    body = body_of([(source, destination, 1)] * 50)
    for number, part in enumerate(body["transfers"]):
        part["metadata"] = {f"{number}-{name}": "x" * 500 for name in range(20)}
    answer = post(source, body)
    assert (answer.status_code, len(answer.json()["transactions"])) == (202, 50)
    body["transfers"][0]["reference"] = "x" * 600_000
    assert refusal(post(source, body)) == (413, "body_too_large")
    run_until_idle()
    assert flows.balances(destination) == (50, 50)


def test_the_same_group_again_is_the_same_answer_as_things_are_now() -> None:
    source, destination = make_account(funded=10_000), make_account()
    key, body = keyed(), body_of([(source, destination, 100), (source, destination, 200)])
    first = post(source, body, **key)
    run_until_idle()
    again = post(source, body, **key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()["id"]) == (202, "true", first.json()["id"])
    assert again.json()["status"] == "cleared"
    assert [row["id"] for row in again.json()["transactions"]] == [row["id"] for row in first.json()["transactions"]]
    swapped = body_of([(source, destination, 200), (source, destination, 100)])
    assert refusal(post(source, swapped, **key)) == (422, "idempotency_key_reused")
    assert flows.balances(destination) == (300, 300)


def test_a_group_is_its_payers_alone() -> None:
    source, destination, stranger = make_account(funded=10_000), make_account(), make_account()
    made = pay([(source, destination, 100), (source, destination, 200)])
    run_until_idle()
    path = f"/api/v1/groups/{made.id}"
    for somebody in (destination, stranger):
        assert refusal(api_client(somebody.customer).get(path)) == (404, "group_not_found")
    seen = api_client(destination.customer).get(f"/api/v1/transactions/{made.transactions[0].id}").json()
    assert (seen["status"], seen["group"]) == ("cleared", None)


def test_cancelling_one_transfer_cancels_its_group() -> None:
    source, one, two = make_account(funded=10_000), make_account(), make_account()
    made = pay([(source, one, 100), (source, two, 200)])
    client = api_client(source.customer)
    answer = client.post(f"/api/v1/transactions/{made.transactions[1].id}/cancel")
    assert (answer.status_code, answer.json()["failure"]["code"]) == (200, "cancelled")
    assert statuses(made) == {"failed: cancelled"}
    assert flows.balances(source) == (10_000, 10_000)
    run_until_idle()
    verify("--no-bank")


def test_one_transfer_that_somebody_has_to_look_at_holds_all_back() -> None:
    source, one, two = make_account(funded=2_000_000), make_account(), make_account()
    made = pay([(source, one, 100), (source, two, 1_500_000)])
    run_until_idle()
    assert WorkItem.objects.get(unit_id=made.id).stage == "review"
    assert statuses(made) == {"pending"}
    seen = api_client(source.customer).get(f"/api/v1/groups/{made.id}").json()
    assert {row["stage"] for row in seen["transactions"]} == {"processing"}
    assert flows.balances(source) == (2_000_000, 499_900)
    verify("--no-bank")


@pytest.mark.parametrize("place", [0, 2])
def test_a_receiver_who_is_closed_at_clearing_fails_the_whole_group(place: int) -> None:
    source, destination, closed = make_account(funded=10_000), make_account(), make_account()
    wanted = [(source, destination, 100), (source, destination, 200)]
    wanted.insert(place, (source, closed, 300))
    made, other = pay(wanted), pay([(source, destination, 1), (source, destination, 2)])
    approve(made)
    approve(other)
    close_by_hand(closed)
    run_until_idle(ledger_only=True)
    assert (statuses(made), statuses(other)) == ({"failed: account_closed"}, {"cleared"})
    assert (flows.balances(source), flows.balances(destination)) == ((9_997, 9_997), (3, 3))
    verify("--no-bank")


def test_a_payer_who_is_frozen_at_clearing_stops_the_whole_group() -> None:
    customer = make_customer()
    one, two, destination = make_account(customer, funded=500), make_account(customer, funded=500), make_account()
    made = pay([(one, destination, 100), (two, destination, 200)])
    approve(made)
    freeze(two)
    run_until_idle(ledger_only=True)
    assert WorkItem.objects.get(unit_id=made.id).stage == "parked"
    assert (statuses(made), flows.balances(destination)) == ({"pending"}, (0, 0))
    unfreeze(two)
    with transaction.atomic():
        steps.resume([made.id])
    run_until_idle(ledger_only=True)
    assert (statuses(made), flows.balances(destination)) == ({"cleared"}, (300, 300))
    verify("--no-bank")


def test_a_batch_that_is_cut_cuts_no_group() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [pay([(source, destination, 10)] * 3) for _ in range(5)]
    single = [flows.transfer(source, destination, 7) for _ in range(4)]
    for group in made:
        approve(group)
    flows.approve(*single)
    cleared = []
    while worked := clearing.clear_due(limit=2):
        cleared.append(worked)
        assert all(len(statuses(group)) == 1 for group in made)
        verify("--no-bank")
    assert cleared == [2, 2, 2, 2, 1]
    assert {status for group in made for status in statuses(group)} == {"cleared"}
    assert flows.balances(destination) == (178, 178)


@pytest.mark.parametrize("workers", [1, 4])
def test_a_poisoned_group_stands_aside_and_the_others_of_its_batch_clear(
    owner_connection: psycopg.Connection, workers: int
) -> None:
    source, destination = make_account(funded=10_000), make_account()
    good = [pay([(source, destination, 10), (source, destination, 20)]) for _ in range(3)]
    for group in good:
        approve(group)
    poisoned = pay([(source, destination, 30), (source, destination, 40)])
    poison(owner_connection, poisoned.id)
    results = at_once(*[lambda: clearing.clear_due(limit=8)] * workers)
    assert [result for result in results if isinstance(result, Exception)] == []
    run_until_idle(ledger_only=True)
    assert (WorkItem.objects.get(unit_id=poisoned.id).stage, statuses(poisoned)) == ("parked", {"pending"})
    assert {status for group in good for status in statuses(group)} == {"cleared"}
    assert flows.balances(destination) == (90, 90)


def test_a_group_asks_the_database_once(django_assert_num_queries: Callable[..., Any], settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"flat": 1}]}}
    source, destination = make_account(funded=10_000), make_account()
    client = api_client(source.customer)
    body = body_of([(source, destination, 1)] * 20)
    client.post("/api/v1/groups", body, format="json", headers=keyed())
    with django_assert_num_queries(1):
        made = client.post("/api/v1/groups", body, format="json", headers=keyed())
    with django_assert_num_queries(1):
        assert client.get(f"/api/v1/groups/{made.json()['id']}").status_code == 200


@pytest.mark.parametrize("_round", range(3))
def test_groups_and_transfers_at_once_spend_what_is_there_and_no_more(_round: int) -> None:
    source, one, two = make_account(funded=1_000), make_account(), make_account()
    results = at_once(
        *[lambda: pay([(source, one, 100), (source, two, 200)]) for _ in range(10)],
        *[lambda: flows.transfer(source, one, 250) for _ in range(10)],
    )
    made = [result for result in results if isinstance(result, GroupView)]
    sent = [result for result in results[10:] if not isinstance(result, Exception)]
    assert {result.code for result in results if isinstance(result, Exception)} == {"insufficient_funds"}
    spent = 300 * len(made) + 250 * len(sent)
    assert 1_000 - 250 < spent <= 1_000
    assert flows.balances(source) == (1_000, 1_000 - spent)
    run_until_idle()
    assert flows.balances(source) == (1_000 - spent, 1_000 - spent)
    assert flows.balances(two) == (200 * len(made), 200 * len(made))
    verify("--no-bank")


def test_the_same_group_twenty_times_at_once_is_one_group() -> None:
    source, destination = make_account(funded=1_000), make_account()
    results = at_once(*[lambda: pay([(source, destination, 100)] * 3, key="a-key") for _ in range(20)])
    assert len({result.id for result in results}) == 1
    assert sorted(result.replayed for result in results) == [False] + [True] * 19
    assert Transaction.objects.filter(kind="transfer").count() == 3
    verify("--no-bank")


def test_opposing_groups_and_their_clearing_never_deadlock() -> None:
    customer = make_customer()
    one, two, three = (make_account(customer, funded=10_000) for _ in range(3))

    def send(first: Account, second: Account, third: Account) -> list[GroupView]:
        made = []
        for _ in range(8):
            made.append(pay([(first, second, 3), (second, third, 5), (third, first, 7)]))
            screen_due(now=timezone.now())
        return made

    def clear() -> int:
        return sum(clearing.clear_due(limit=3) for _ in range(12))

    results = at_once(
        lambda: send(one, two, three), lambda: send(three, two, one), lambda: send(two, one, three), clear, clear
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    run_until_idle()
    assert Transaction.objects.filter(kind="transfer").exclude(status="cleared").count() == 0
    assert sum(flows.balances(account)[0] for account in (one, two, three)) == 30_000
    verify("--no-bank")
