"""Holds at the level of the ledger's own functions: what each of the two parties and the clock can do to one."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account, IdempotencyClaim
from ledger import posting, steps
from ledger.models import Entry, StateChange, Transaction, WorkItem
from ledger.posting import Posted
from tests.support import money
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db
DAY = 24 * 3600


@pytest.fixture
def payer(db: None) -> Account:
    return money.new_account(1000)


@pytest.fixture
def payee(db: None) -> Account:
    return money.new_account()


def actor(account: Account) -> Actor:
    assert account.customer is not None
    return money.actor_of(account.customer)


def held(payer: Account, payee: Account, amount: int, *, fee: int = 0, approved: bool = True) -> UUID:
    """The transfer's id; `fee` (minor units) goes along in its group."""
    legs = [replace(money.leg("transfer", payer, payee, amount), expires_in=DAY)]
    if fee:
        legs.append(replace(money.leg("fee", payer, money.system(purpose="fees"), fee), expires_in=DAY))
    posted: Posted = money.post(*legs, actor=actor(payer))
    assert posted.outcome == "created"
    if approved:
        money.approve(posted)
    return legs[0].id


def capture(payee: Account, hold: UUID, amount: int | None = None, *, key: str | None = None) -> str:
    return posting.capture(
        actor=actor(payee), transaction_id=hold, amount=amount, key=key, request_hash=money.HASH, request_id="r"
    )


def void(account: Account, hold: UUID) -> str:
    return posting.void(actor=actor(account), transaction_id=hold, request_id="r")


def expire(limit: int = 10) -> list[UUID]:
    return posting.expire(limit=limit, actor=system_actor(), request_id="r")


def let_expire(owner_connection: Any) -> None:
    """What a day that passes does; the guard that keeps a hold's time as it is stands aside for it."""
    owner_connection.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER transaction_is_immutable")
    owner_connection.execute(
        "UPDATE ledger_transaction SET expires_at = created_at + interval '1 microsecond' WHERE expires_at IS NOT NULL"
    )
    owner_connection.execute("ALTER TABLE ledger_transaction ENABLE TRIGGER transaction_is_immutable")
    owner_connection.execute("UPDATE ledger_workitem SET next_at = now() WHERE stage = 'held'")


def stage(hold: UUID) -> str | None:
    row = Transaction.objects.get(id=hold)
    return WorkItem.objects.filter(unit_id=row.unit_id).values_list("stage", flat=True).first()


def failure(hold: UUID) -> str:
    return Transaction.objects.get(id=hold).failure


def test_a_hold_waits_for_its_payee_with_its_funds_reserved(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    row = Transaction.objects.get(id=hold)
    assert row.expires_at is not None
    assert (row.expires_at - row.created_at).total_seconds() == DAY
    assert stage(hold) == "held"
    assert WorkItem.objects.get(unit_id=hold).next_at == row.expires_at
    assert money.clear() == {}
    assert money.balances(payer) == (1000, 600)


def test_a_capture_of_all_clears_all(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    assert capture(payee, hold) == "captured"
    assert (stage(hold), money.balances(payer)) == ("clearing", (1000, 600))
    assert money.clear() == {hold: "cleared"}
    assert (money.balances(payer), money.balances(payee)) == ((600, 600), (400, 400))
    assert StateChange.objects.get(subject_id=hold, machine="hold").actor_id == actor(payee).principal_id


def test_the_rest_of_a_partial_capture_is_released_at_once(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    capture(payee, hold, 150)
    assert money.balances(payer) == (1000, 850)
    money.clear()
    assert (money.balances(payer), money.balances(payee)) == ((850, 850), (150, 150))
    assert set(Entry.objects.filter(transaction=hold).values_list("amount", flat=True)) == {150}
    capture(payee, held(payer, payee, 100), 99)
    assert money.balances(payer) == (850, 751)


@pytest.mark.parametrize(("amount", "fee"), [(400, 10), (399, 9), (40, 1), (1, 1)])
def test_the_fee_is_captured_in_proportion_rounded_down_and_never_nothing(
    payer: Account, payee: Account, amount: int, fee: int
) -> None:
    hold = held(payer, payee, 400, fee=10)
    assert money.balances(payer) == (1000, 590)
    capture(payee, hold, amount)
    assert money.balances(payer) == (1000, 1000 - amount - fee)
    money.clear()
    assert money.balances(payer) == (1000 - amount - fee, 1000 - amount - fee)
    assert money.balances(payee) == (amount, amount)
    assert money.balances(money.system(purpose="fees"))[0] == fee


def test_a_capture_takes_the_amount_of_the_hold_at_most(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    with pytest.raises(posting.CaptureExceedsHold) as refused:
        capture(payee, hold, 401)
    assert refused.value.facts == {"amount": 400}
    assert capture(payee, hold, 400) == "captured"


def test_a_hold_is_captured_once(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    capture(payee, hold, 150, key="first")
    with pytest.raises(posting.AlreadyCaptured) as refused:
        capture(payee, hold, 250, key="second")
    assert refused.value.facts == {"captured_amount": 150}
    with pytest.raises(posting.AlreadyCaptured):
        capture(payee, hold, 150, key="third")
    with pytest.raises(posting.AlreadyCaptured):
        capture(payee, hold)
    money.clear()
    with pytest.raises(posting.AlreadyCaptured):
        capture(payee, hold, 250)
    assert money.balances(payee) == (150, 150)


def test_the_same_capture_again_changes_nothing(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    assert capture(payee, hold, 150, key="first") == "captured"
    assert capture(payee, hold, 150, key="first") == "replayed"
    assert capture(payee, hold, 150) == "replayed"
    money.clear()
    assert capture(payee, hold, 150, key="first") == "replayed"
    assert capture(payee, hold, 150) == "replayed"
    assert money.balances(payer) == (850, 850)
    assert IdempotencyClaim.objects.filter(operation="capture").count() == 1


def test_a_key_of_a_capture_is_for_that_capture_alone(payer: Account, payee: Account) -> None:
    one, two = held(payer, payee, 100), held(payer, payee, 100)
    capture(payee, one, key="mine")
    with pytest.raises(IdempotencyKeyReused):
        capture(payee, two, key="mine")
    money.fund(payee, 10)
    money.transfer(payee, payer, 10, key="transferred")
    with pytest.raises(IdempotencyKeyReused):
        capture(payee, two, key="transferred")
    with pytest.raises(IdempotencyKeyReused):
        posting.capture(
            actor=actor(payee), transaction_id=one, amount=None, key="mine", request_hash=bytes([1] * 32), request_id=""
        )


def test_a_refused_capture_leaves_its_key_free(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    with pytest.raises(posting.CaptureExceedsHold):
        capture(payee, hold, 401, key="mine")
    assert capture(payee, hold, 400, key="mine") == "captured"


def test_only_its_payee_captures_a_hold(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    for somebody in (payer, money.new_account()):
        with pytest.raises(posting.HoldNotFound):
            capture(somebody, hold)
    assert money.balances(payer) == (1000, 600)


def test_what_is_no_hold_is_not_captured_or_voided(payer: Account, payee: Account) -> None:
    posted = money.transfer(payer, payee, 10)
    money.approve(posted)
    with pytest.raises(posting.NotAHold):
        capture(payee, posted.transactions[0].id)
    with pytest.raises(posting.NotAHold):
        void(payee, posted.transactions[0].id)


def test_a_hold_that_is_not_approved_is_not_there_for_its_payee(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400, approved=False)
    with pytest.raises(posting.HoldNotFound):
        capture(payee, hold)
    with pytest.raises(posting.HoldNotFound):
        void(payee, hold)


def test_a_hold_that_was_set_aside_is_not_captured_until_it_is_back(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    with transaction.atomic():
        steps.park([hold], error="a test")
    with pytest.raises(posting.HoldNotReady):
        capture(payee, hold)
    with transaction.atomic():
        steps.resume([hold])
    assert stage(hold) == "held"
    assert WorkItem.objects.get(unit_id=hold).next_at == Transaction.objects.get(id=hold).expires_at
    assert capture(payee, hold) == "captured"


def test_its_payee_voids_a_hold_and_all_is_released(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400, fee=10)
    assert void(payee, hold) == "voided"
    assert void(payee, hold) == "voided"
    assert {row.failure for row in Transaction.objects.filter(debit_account=payer)} == {"voided"}
    assert money.balances(payer) == (1000, 1000)
    with pytest.raises(posting.AlreadyVoided):
        capture(payee, hold)
    assert not WorkItem.objects.exists()


def test_its_payer_has_to_wait_until_a_hold_expires(payer: Account, payee: Account, owner_connection: Any) -> None:
    hold = held(payer, payee, 400)
    with pytest.raises(posting.HoldNotExpired) as refused:
        void(payer, hold)
    assert "expires_at" in refused.value.facts
    with pytest.raises(posting.HoldNotFound):
        void(money.new_account(), hold)
    let_expire(owner_connection)
    assert void(payer, hold) == "expired"
    assert money.balances(payer) == (1000, 1000)


def test_a_captured_hold_is_not_voided_and_does_not_expire(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    hold = held(payer, payee, 400)
    capture(payee, hold, 150)
    for party in (payer, payee):
        with pytest.raises(posting.AlreadyCaptured):
            void(party, hold)
    assert expire() == []
    money.clear()
    with pytest.raises(posting.AlreadyCaptured):
        void(payee, hold)
    assert failure(hold) == ""


def test_an_expired_hold_is_not_captured_even_before_the_sweep(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    hold = held(payer, payee, 400)
    let_expire(owner_connection)
    with pytest.raises(posting.HoldExpired):
        capture(payee, hold)
    assert expire() == [hold]
    with pytest.raises(posting.HoldExpired):
        capture(payee, hold)
    assert void(payee, hold) == "expired"
    assert (failure(hold), money.balances(payer)) == ("expired", (1000, 1000))


def test_the_database_refuses_a_capture_after_the_time_whoever_writes_it(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    hold = held(payer, payee, 400)
    let_expire(owner_connection)
    with pytest.raises(Exception, match="transaction_captured_before_it_expires"):
        owner_connection.execute(
            "UPDATE ledger_transaction SET captured_at = clock_timestamp(), captured_amount = 1 WHERE id = %s", [hold]
        )


def test_the_sweep_ends_what_is_over_wherever_it_waits_and_nothing_else(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    over = [held(payer, payee, 100), held(payer, payee, 100), held(payer, payee, 100, fee=5)]
    over.append(held(payer, payee, 100, approved=False))
    let_expire(owner_connection)
    running, plain = held(payer, payee, 100), money.transfer(payer, payee, 100)
    with owner_connection.transaction():
        # What somebody is busy with is left to him: the sweep neither waits for it nor ends it under his hands.
        owner_connection.execute("SELECT FROM ledger_workitem WHERE unit_id = %s FOR NO KEY UPDATE", [over[0]])
        assert len(expire()) == 3
    assert expire() == [over[0]]
    assert expire() == []
    assert [failure(hold) for hold in over] == ["expired"] * 4
    assert (failure(running), plain.transactions[0].failure) == ("", "")
    assert money.balances(payer) == (1000, 800)


def test_a_full_batch_of_charged_holds_is_full(payer: Account, payee: Account, owner_connection: Any) -> None:
    for _ in range(4):
        held(payer, payee, 100, fee=5)
    let_expire(owner_connection)
    assert [len(expire(limit=3)), len(expire(limit=3))] == [3, 1]


def test_an_approval_after_the_time_leaves_it_to_the_sweep(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    hold = held(payer, payee, 100, approved=False)
    let_expire(owner_connection)
    with transaction.atomic():
        steps.approve([hold])
    assert stage(hold) == "held"
    assert expire() == [hold]


def test_a_failed_capture_at_clearing_releases_what_was_captured(payer: Account, payee: Account) -> None:
    hold = held(payer, payee, 400)
    capture(payee, hold, 150)
    with transaction.atomic():
        assert steps.fail([hold], code="account_closed", actor=system_actor(), reason="a test") == {hold}
    assert money.balances(payer) == (1000, 1000)


def test_a_hold_never_clears_without_its_capture(payer: Account, payee: Account, owner_connection: Any) -> None:
    hold = held(payer, payee, 400)
    owner_connection.execute("UPDATE ledger_workitem SET stage = 'clearing', next_at = now()")
    with pytest.raises(Exception, match="or its payee"):
        money.clear()
    assert Transaction.objects.get(id=hold).status == "pending"


def test_a_hold_on_ones_own_other_account_is_captured_and_voided_by_oneself(payer: Account) -> None:
    other = money.new_account(customer=payer.customer)
    one, two = held(payer, other, 100), held(payer, other, 100)
    assert capture(payer, one) == "captured"
    assert void(payer, two) == "voided"


def test_ids_that_nobody_has_are_not_found(payee: Account) -> None:
    with pytest.raises(posting.HoldNotFound):
        capture(payee, uuid7())
    with pytest.raises(posting.HoldNotFound):
        void(payee, uuid7())
