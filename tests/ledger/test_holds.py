"""Holds: reserved for a payee, who captures them once, in full or in part, or gives them up; otherwise they expire."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.db.models.functions import Now

from accounts.models import Account
from ledger import steps
from ledger.models import Entry, Escalation, StateChange, Transaction, WorkItem
from ledger.selectors import TransactionView
from ledger.services import holds, payments
from tests.ledger import flows
from tests.ledger.test_escalations import freeze, resolve
from tests.ledger.test_races import at_once
from tests.support.factories import api_client, forget_nudges, keyed, make_account
from tests.support.pipeline import run_until_idle, verify
from wallet_project.utils.context import system_actor

pytestmark = pytest.mark.django_db

HASH = bytes(32)
AN_HOUR = 3_600


def held(source: Account, destination: Account, amount: int = 2_000, *, seconds: int = AN_HOUR) -> TransactionView:
    """A hold that screening has let through."""
    made = flows.transfer(source, destination, amount, expires_in=seconds, metadata={"order": "7"})
    flows.approve(made)
    return made


def wait_until_expired(made: TransactionView) -> None:
    """Its time is over; the sweep has not come yet."""
    deadline, pause = time.monotonic() + 10, threading.Event()
    while not Transaction.objects.filter(id=made.id, expires_at__lte=Now()).exists():
        assert time.monotonic() < deadline
        pause.wait(0.01)


def capture(made: TransactionView, account: Account, amount: int | None = None, key: str | None = None) -> int:
    """The captured amount, as the payee."""
    done = holds.capture(
        actor=flows.owner(account), transaction_id=made.id, amount=amount, key=key, request_hash=HASH
    ).transaction
    assert done.captured_amount is not None
    return done.captured_amount


def post(account: Account, made: TransactionView | UUID, action: str, body: Any = None, **headers: str) -> Any:
    identity = made if isinstance(made, UUID) else made.id
    return api_client(account.customer).post(
        f"/api/v1/transactions/{identity}/{action}", body, format="json", headers=headers
    )


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def outcomes(results: list[Any]) -> list[str]:
    """Of a race: what each got, an error by its code."""
    return sorted(getattr(result, "code", None) or str(result) for result in results)


def test_a_hold_reserves_and_waits_for_its_payee() -> None:
    source, destination = make_account(funded=10_000), make_account()
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 2_000, "currency": "EUR"}
    body |= {"capture": "manual", "expires_in": 600, "metadata": {"order": "7"}}
    client, payee = api_client(source.customer), api_client(destination.customer)
    made = client.post("/api/v1/transfers", body, format="json", headers=keyed()).json()
    assert (made["status"], made["stage"], made["capture"]["captured_amount"]) == ("pending", "processing", None)
    row = Transaction.objects.get(id=made["id"])
    assert row.expires_at == row.created_at + timedelta(seconds=600)
    assert made["capture"]["expires_at"] == row.expires_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    path = f"/api/v1/transactions/{made['id']}"
    assert client.get(path).json() == made
    assert payee.get(path).status_code == 404
    run_until_idle()
    assert (client.get(path).json()["status"], client.get(path).json()["stage"]) == ("pending", "held")
    seen = payee.get(path).json()
    assert (seen["stage"], seen["amount"], seen["metadata"]) == ("held", 2_000, {})
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 8_000), (0, 0))
    verify("--no-bank")


def test_a_hold_lasts_a_week_unless_it_is_said() -> None:
    source, destination = make_account(funded=10_000), make_account()
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
    body["capture"] = "manual"
    client = api_client(source.customer)
    made = client.post("/api/v1/transfers", body, format="json", headers=keyed()).json()
    row = Transaction.objects.get(id=made["id"])
    assert row.expires_at is not None
    assert row.expires_at - row.created_at == timedelta(days=7)


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"capture": "manual", "expires_in": 59}, "expires_in", "out_of_range"),
        ({"capture": "manual", "expires_in": 30 * 86_400 + 1}, "expires_in", "out_of_range"),
        ({"capture": "manual", "expires_in": 600.0}, "expires_in", "not_an_integer"),
        ({"capture": "automatic", "expires_in": 600}, "expires_in", "not_a_hold"),
        ({"expires_in": 600}, "expires_in", "not_a_hold"),
        ({"capture": "later"}, "capture", "not_one_of"),
        ({"capture": None}, "capture", "null"),
    ],
)
def test_a_hold_that_is_not_understood_is_refused(changes: dict[str, Any], field: str, code: str) -> None:
    source, destination = make_account(funded=10_000), make_account()
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR", **changes}
    answer = api_client(source.customer).post("/api/v1/transfers", body, format="json", headers=keyed())
    [error] = answer.json()["errors"]
    assert (answer.status_code, error["field"], error["code"]) == (400, field, code)


def test_all_of_a_hold_is_captured_and_cleared() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    answer = post(destination, made, "capture")
    assert (answer.status_code, answer.json()["capture"]["captured_amount"]) == (200, 2_000)
    assert answer.json()["capture"]["captured_at"] is not None
    run_until_idle()
    assert flows.status(made) == "cleared"
    assert (flows.balances(source), flows.balances(destination)) == ((8_000, 8_000), (2_000, 2_000))
    verify("--no-bank")


def test_of_a_partial_capture_the_rest_goes_back_at_once() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    assert post(destination, made, "capture", {"amount": 1_500}).json()["capture"]["captured_amount"] == 1_500
    assert flows.balances(source) == (10_000, 8_500)
    verify("--no-bank")
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((8_500, 8_500), (1_500, 1_500))
    assert list(Entry.objects.filter(transaction=made.id).values_list("amount", flat=True)) == [1_500, 1_500]
    shown = api_client(source.customer).get(f"/api/v1/transactions/{made.id}").json()
    assert (shown["status"], shown["amount"], shown["capture"]["captured_amount"]) == ("cleared", 2_000, 1_500)
    verify("--no-bank")


def test_a_capture_wakes_the_clearing(nudges: list[str]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    forget_nudges(nudges)
    capture(made, destination)
    assert "ledger.clear_due" in nudges
    forget_nudges(nudges)
    capture(made, destination)
    assert "ledger.clear_due" not in nudges


def test_a_hold_is_captured_once() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    first = post(destination, made, "capture", {"amount": 1_500})
    again = post(destination, made, "capture", {"amount": 1_500})
    assert (again.status_code, again.json()) == (200, first.json())
    other = post(destination, made, "capture", {"amount": 1_499})
    assert (*refusal(other), other.json()["captured_amount"]) == (409, "already_captured", 1_500)
    assert refusal(post(destination, made, "capture")) == (409, "already_captured")
    run_until_idle()
    assert refusal(post(destination, made, "capture", {"amount": 1})) == (409, "already_captured")
    assert post(destination, made, "capture", {"amount": 1_500}).status_code == 200
    assert refusal(post(destination, made, "void")) == (409, "already_captured")
    assert flows.balances(destination) == (1_500, 1_500)
    verify("--no-bank")


def test_a_capture_with_a_key_is_that_capture_and_no_other() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, other = held(source, destination), held(source, destination)
    key = keyed()
    first = post(destination, made, "capture", {"amount": 1_500}, **key)
    assert (first.status_code, "Idempotent-Replayed" in first) == (200, False)
    again = post(destination, made, "capture", {"amount": 1_500}, **key)
    assert (again.status_code, again["Idempotent-Replayed"], again.json()) == (200, "true", first.json())
    assert refusal(post(destination, made, "capture", {"amount": 1_400}, **key)) == (422, "idempotency_key_reused")
    assert refusal(post(destination, other, "capture", {"amount": 1_500}, **key)) == (422, "idempotency_key_reused")
    # Somebody who forgot that he had captured it, and not the same request again.
    assert refusal(post(destination, made, "capture", {"amount": 1_500}, **keyed())) == (409, "already_captured")
    assert refusal(post(destination, made, "capture", **{"Idempotency-Key": "a b"})) == (400, "idempotency_key_invalid")


def test_a_refused_capture_leaves_its_key_free() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, key = held(source, destination), keyed()
    assert refusal(post(destination, made, "capture", {"amount": 2_001}, **key)) == (422, "capture_exceeds_hold")
    assert post(destination, made, "capture", {"amount": 2_000}, **key).status_code == 200


def test_a_capture_takes_what_is_held_at_most() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    answer = post(destination, made, "capture", {"amount": 2_001})
    assert (*refusal(answer), answer.json()["amount"]) == (422, "capture_exceeds_hold", 2_000)
    for amount in (0, -1, "1", 1.0, None, True):
        assert post(destination, made, "capture", {"amount": amount}).status_code == 400
    assert post(destination, made, "capture", {"sum": 1}).status_code == 400
    assert flows.balances(source) == (10_000, 8_000)


def test_who_may_capture_and_void_what() -> None:
    source, destination, stranger = make_account(funded=10_000), make_account(), make_account()
    made = flows.transfer(source, destination, 2_000, expires_in=AN_HOUR)
    plain = flows.transfer(source, destination, 10)
    # Nor is a hold, before it has been approved.
    assert refusal(post(destination, made, "capture")) == (404, "hold_not_found")
    assert refusal(post(destination, made, "void")) == (404, "hold_not_found")
    # An ordinary transfer is nothing to its receiver before it has cleared.
    assert post(destination, plain, "capture").status_code == 404
    assert post(destination, plain, "void").status_code == 404
    run_until_idle()
    assert refusal(post(destination, plain, "capture")) == (409, "not_a_hold")
    assert refusal(post(destination, plain, "void")) == (409, "not_a_hold")
    assert refusal(post(source, made, "capture")) == (404, "hold_not_found")
    for action in ("capture", "void"):
        assert refusal(post(stranger, made, action)) == (404, "hold_not_found")
        assert api_client().post(f"/api/v1/transactions/{made.id}/{action}").status_code == 401
    refused = post(source, made, "void")
    assert refusal(refused) == (409, "hold_not_expired")
    assert refused.json()["expires_at"]
    assert flows.balances(source) == (9_990, 7_990)


def test_a_payee_gives_a_hold_up() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    answer = post(destination, made, "void")
    assert (answer.status_code, answer.json()["status"], answer.json()["failure"]["code"]) == (200, "failed", "voided")
    assert flows.balances(source) == (10_000, 10_000)
    again = post(destination, made, "void")
    assert (again.status_code, again.json()) == (200, answer.json())
    assert refusal(post(destination, made, "capture")) == (409, "already_voided")
    shown = api_client(source.customer).get(f"/api/v1/transactions/{made.id}").json()
    assert (shown["failure"]["code"], shown["stage"]) == ("voided", None)
    run_until_idle()
    assert flows.status(made) == "failed: voided"
    verify("--no-bank")


def test_an_expired_hold_is_never_captured_even_before_the_sweep() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination, seconds=1)
    wait_until_expired(made)
    assert flows.status(made) == "pending"
    assert refusal(post(destination, made, "capture")) == (409, "hold_expired")
    assert flows.balances(source) == (10_000, 8_000)
    run_until_idle()
    assert flows.status(made) == "failed: expired"
    assert flows.balances(source) == (10_000, 10_000)
    assert refusal(post(destination, made, "capture")) == (409, "hold_expired")
    assert StateChange.objects.filter(subject_id=made.id, to_state="failed").count() == 1
    assert not WorkItem.objects.filter(unit_id=made.id).exists()
    verify("--no-bank")


def test_a_payer_releases_what_has_expired_without_waiting_for_the_sweep() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination, seconds=1)
    wait_until_expired(made)
    answer = post(source, made, "void")
    assert (answer.status_code, answer.json()["failure"]["code"]) == (200, "expired")
    assert flows.balances(source) == (10_000, 10_000)
    assert post(destination, made, "void").json()["failure"]["code"] == "expired"
    verify("--no-bank")


def test_a_hold_expires_wherever_it_waits() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = flows.transfer(source, destination, 2_000, expires_in=1)
    wait_until_expired(made)
    assert holds.expire_due() == 1
    assert flows.status(made) == "failed: expired"
    assert holds.expire_due() == 0
    run_until_idle()
    verify("--no-bank")


def test_the_sweep_ends_what_is_over_and_nothing_else() -> None:
    source, destination = make_account(funded=10_000), make_account()
    over = [held(source, destination, 100, seconds=1) for _ in range(3)]
    kept, plain = held(source, destination), flows.transfer(source, destination, 10)
    # Time enough to capture it, however busy the machine is.
    captured = held(source, destination, 100, seconds=4)
    capture(captured, destination)
    for made in (*over, captured):
        wait_until_expired(made)
    assert [holds.expire_due(limit=2), holds.expire_due(limit=2), holds.expire_due(limit=2)] == [2, 1, 0]
    assert [flows.status(made) for made in over] == ["failed: expired"] * 3
    assert [flows.status(made) for made in (kept, plain, captured)] == ["pending"] * 3
    run_until_idle()
    assert flows.status(captured) == "cleared"
    verify("--no-bank")


def test_a_hold_that_can_not_be_released_stands_aside_and_the_others_expire(
    owner_connection: psycopg.Connection,
) -> None:
    source, destination, other = make_account(funded=10_000), make_account(), make_account(funded=10_000)
    bad = held(source, destination, 100, seconds=1)
    good = [held(other, destination, 100, seconds=1) for _ in range(3)]
    later = held(other, destination, 100)
    for made in (bad, *good):
        wait_until_expired(made)
    owner_connection.execute(
        f"ALTER TABLE accounts_account ADD CONSTRAINT poison CHECK (id <> '{source.id}') NOT VALID"
    )
    assert holds.expire_due() == 4
    assert [flows.status(made) for made in (bad, *good)] == ["pending"] + ["failed: expired"] * 3
    assert WorkItem.objects.get(unit_id=bad.id).stage == "parked"
    assert Escalation.objects.get().kind == "poisoned_unit"
    # It is a person's to see to: no sweep tries it again before, and those that others make go on.
    owner_connection.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER transaction_is_immutable")
    owner_connection.execute(
        "UPDATE ledger_transaction SET expires_at = created_at + interval '1 microsecond' WHERE id = %s", [later.id]
    )
    assert [holds.expire_due(), holds.expire_due()] == [1, 0]
    assert flows.status(later) == "failed: expired"
    assert Escalation.objects.count() == 1
    owner_connection.execute("ALTER TABLE accounts_account DROP CONSTRAINT poison")
    assert holds.expire_due() == 0
    resolve(Escalation.objects.get(), "retry")
    assert holds.expire_due() == 1
    assert (flows.status(bad), flows.balances(source)) == ("failed: expired", (10_000, 10_000))


def test_a_hold_that_staff_have_ended_or_set_aside_is_not_captured() -> None:
    source, destination = make_account(funded=10_000), make_account()
    ended, aside = held(source, destination), held(source, destination)
    with transaction.atomic():
        steps.fail([ended.id], code="not_permitted", actor=system_actor(), reason="a test")
        steps.park([aside.id], error="a test")
    assert refusal(post(destination, ended, "capture")) == (409, "hold_not_ready")
    assert refusal(post(destination, aside, "capture")) == (409, "hold_not_ready")
    with transaction.atomic():
        steps.resume([aside.id])
    assert post(destination, aside, "capture").status_code == 200
    run_until_idle()
    assert flows.balances(destination) == (2_000, 2_000)
    verify("--no-bank")


def test_a_payer_cancels_a_hold_only_before_its_payee_counts_on_it() -> None:
    source, destination = make_account(funded=10_000), make_account()
    early = flows.transfer(source, destination, 100, expires_in=AN_HOUR)
    assert post(source, early, "cancel").json()["failure"]["code"] == "cancelled"
    assert refusal(post(destination, early, "capture")) == (404, "hold_not_found")
    made = held(source, destination)
    assert refusal(post(source, made, "cancel")) == (409, "not_cancellable")
    assert refusal(post(destination, made, "cancel")) == (409, "not_cancellable")
    capture(made, destination)
    assert refusal(post(source, made, "cancel")) == (409, "not_cancellable")
    assert flows.status(made) == "pending"
    run_until_idle()
    assert flows.balances(destination) == (2_000, 2_000)
    verify("--no-bank")


def test_what_was_captured_of_a_payer_who_was_frozen_since_waits_for_a_human() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    freeze(source)
    assert capture(made, destination, 500) == 500
    run_until_idle(ledger_only=True)
    assert WorkItem.objects.get(unit_id=made.id).stage == "parked"
    assert refusal(post(source, made, "cancel")) == (409, "not_cancellable")
    assert refusal(post(destination, made, "void")) == (409, "already_captured")
    assert flows.balances(source) == (10_000, 9_500)
    run_until_idle()
    verify("--no-bank")


def test_what_was_captured_in_part_and_failed_by_staff_goes_back_once(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"flat": 10}]}}
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    capture(made, destination, 500)
    assert flows.balances(source) == (10_000, 9_498)
    assert made.group is not None
    with transaction.atomic():
        steps.fail([made.group], code="not_permitted", actor=system_actor(), reason="a test")
    assert (flows.balances(source), flows.balances(destination)) == ((10_000, 10_000), (0, 0))
    assert post(destination, made, "capture", {"amount": 500}).json()["status"] == "failed"
    assert refusal(post(destination, made, "capture", {"amount": 600})) == (409, "already_captured")
    verify("--no-bank")


def test_the_fee_of_a_hold_is_captured_in_proportion(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"basis_points": 100}]}}
    source, destination = make_account(funded=10_000), make_account()
    made, refused = held(source, destination, 2_000), held(source, destination, 1_000)
    assert flows.balances(source) == (10_000, 6_970)
    assert capture(made, destination, 1_050) == 1_050
    # Ten and a half cents of fee: rounded down.
    assert flows.balances(source) == (10_000, 7_930)
    holds.void(actor=flows.owner(destination), transaction_id=refused.id)
    run_until_idle()
    assert (flows.balances(source), flows.balances(destination)) == ((8_940, 8_940), (1_050, 1_050))
    shown = api_client(source.customer).get(f"/api/v1/transactions/{made.id}").json()
    assert (shown["capture"]["captured_amount"], shown["fee"]) == (1_050, 10)
    verify("--no-bank")


def test_what_is_done_with_a_hold_asks_the_database_twice(django_assert_num_queries: Callable[..., Any]) -> None:
    source, destination = make_account(funded=10_000), make_account()
    one, two = held(source, destination, 100), held(source, destination, 100)
    payee, payer = api_client(destination.customer), api_client(source.customer)
    body = {"source": str(source.id), "destination": str(destination.id), "amount": 1, "currency": "EUR"}
    payer.get("/api/v1/accounts")
    payee.get("/api/v1/accounts")
    with django_assert_num_queries(1):
        assert payer.post("/api/v1/transfers", body | {"capture": "manual"}, headers=keyed()).status_code == 202
    with django_assert_num_queries(2):
        assert payee.post(f"/api/v1/transactions/{one.id}/capture", {}, headers=keyed()).status_code == 200
    with django_assert_num_queries(2):
        assert payee.post(f"/api/v1/transactions/{two.id}/void").status_code == 200


def test_the_same_hold_asked_for_twenty_times_at_once_is_one(settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"flat": 10}]}}
    source, destination = make_account(funded=10_000), make_account()
    made = at_once(*[lambda: flows.transfer(source, destination, 700, expires_in=AN_HOUR, key="a-key")] * 20)
    assert len({view.id for view in made}) == 1
    assert {view.fee for view in made} == {10}
    assert flows.balances(source) == (10_000, 9_290)
    verify("--no-bank")


@pytest.mark.parametrize("_round", range(3))
def test_of_twenty_captures_at_once_one_wins(_round: int) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)
    results = at_once(*[partial(capture, made, destination, amount) for amount in range(101, 121)])
    won = [result for result in results if isinstance(result, int)]
    assert len(won) == 1
    assert outcomes(results) == sorted([str(won[0])] + ["already_captured"] * 19)
    assert Transaction.objects.get(id=made.id).captured_amount == won[0]
    run_until_idle()
    assert flows.balances(destination) == (won[0], won[0])
    verify("--no-bank")


def test_the_same_capture_twenty_times_at_once_is_one_capture() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, other = held(source, destination), held(source, destination)
    assert at_once(*[lambda: capture(made, destination, 700) for _ in range(20)]) == [700] * 20
    assert at_once(*[lambda: capture(other, destination, 700, "a-key") for _ in range(20)]) == [700] * 20
    run_until_idle()
    assert flows.balances(destination) == (1_400, 1_400)
    assert StateChange.objects.filter(machine="hold", to_state="captured").count() == 2
    verify("--no-bank")


@pytest.mark.parametrize("_round", range(3))
def test_of_capturing_and_voiding_at_once_one_wins(_round: int) -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)

    def void() -> str:
        return holds.void(actor=flows.owner(destination), transaction_id=made.id).failure

    results = at_once(*[lambda: capture(made, destination, 700)] * 10, *[void] * 10)
    if Transaction.objects.get(id=made.id).captured_at:
        assert outcomes(results) == ["700"] * 10 + ["already_captured"] * 10
    else:
        assert outcomes(results) == ["already_voided"] * 10 + ["voided"] * 10
    run_until_idle()
    left = 10_000 - flows.balances(destination)[0]
    assert flows.balances(source) == (left, left)
    verify("--no-bank")


def test_twenty_voids_at_once_release_once() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made, kept = held(source, destination), held(source, destination, 500)

    def void() -> str:
        return holds.void(actor=flows.owner(destination), transaction_id=made.id).failure

    assert at_once(*[void] * 20) == ["voided"] * 20
    assert flows.balances(source) == (10_000, 9_500)
    assert flows.status(kept) == "pending"
    verify("--no-bank")


def test_of_capturing_and_expiring_at_once_one_wins() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = [held(source, destination, 100, seconds=1) for _ in range(10)]
    pause = threading.Event()
    # Half of them are over by the time at which the race begins.
    while not Transaction.objects.filter(id=made[4].id, expires_at__lte=Now()).exists():
        pause.wait(0.001)
    results = at_once(*[partial(capture, one, destination) for one in made], *[holds.expire_due] * 10)
    captured = [one for one, result in zip(made, results[:10], strict=True) if result == 100]
    refused = {getattr(result, "code", None) for result in results[:10] if result != 100}
    assert refused <= {"hold_expired"}
    assert [result for result in results[10:] if isinstance(result, Exception)] == []
    for one in made:
        wait_until_expired(one)
    run_until_idle()
    assert {flows.status(one) for one in captured} <= {"cleared"}
    assert {flows.status(one) for one in made if one not in captured} == {"failed: expired"}
    assert flows.balances(destination) == (100 * len(captured), 100 * len(captured))
    verify("--no-bank")


def test_of_capturing_and_cancelling_at_once_a_held_one_is_captured() -> None:
    source, destination = make_account(funded=10_000), make_account()
    made = held(source, destination)

    def cancel() -> str:
        return payments.cancel(actor=flows.owner(source), transaction_id=made.id).failure

    results = at_once(*[lambda: capture(made, destination)] * 10, *[cancel] * 10)
    assert outcomes(results) == ["2000"] * 10 + ["not_cancellable"] * 10
    run_until_idle()
    assert flows.balances(destination) == (2_000, 2_000)
    verify("--no-bank")
