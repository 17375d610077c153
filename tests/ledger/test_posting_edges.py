"""What the functions that move money leave alone, and every column they write."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone

from accounts.idempotency import IdempotencyKeyReused
from accounts.models import Account
from accounts.selectors import AccountNotFound
from ledger import posting
from ledger.models import Entry, RailTransfer, StateChange, Transaction, WorkItem
from ledger.posting import Posted
from tests.support import money
from wallet_project.utils.context import Actor, system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db

LEASE = timedelta(minutes=1)


@pytest.fixture
def payer(db: None) -> Account:
    return money.new_account(1_000)


@pytest.fixture
def payee(db: None) -> Account:
    return money.new_account()


def owner(account: Account) -> Actor:
    assert account.customer is not None
    return money.actor_of(account.customer)


def unit_of(posted: Posted) -> UUID:
    return posted.transactions[0].unit_id


def withdrawal(payer: Account, amount: int = 10) -> Posted:
    return money.post(money.leg("withdrawal", payer, money.system(), amount), actor=owner(payer))


def deposit(account: Account, amount: int = 10) -> Posted:
    return money.post(money.leg("deposit", money.system(), account, amount), actor=owner(account))


def fail(units: Sequence[UUID], **more: Any) -> set[UUID]:
    with transaction.atomic():
        return posting.fail(units, code="cancelled", actor=system_actor(), reason="why", request_id="a-request", **more)


def stage(unit: UUID) -> str:
    return WorkItem.objects.get(unit_id=unit).stage


def log_of(subject: UUID, machine: str = "transaction") -> list[tuple[str, str, str, UUID, str, str]]:
    rows = StateChange.objects.filter(subject_id=subject, machine=machine).order_by("id")
    return list(rows.values_list("machine", "from_state", "to_state", "actor_id", "reason", "request_id"))


def test_a_transaction_is_written_as_it_was_asked_for(payer: Account, payee: Account) -> None:
    asked = replace(
        money.leg("transfer", payer, payee, 40), reference="rent", metadata={"order": "7"}, beneficiary={"name": "Ada"}
    )
    before = timezone.now()
    returned = money.post(asked, actor=owner(payer)).transactions[0]
    row = Transaction.objects.get(id=asked.id)
    assert (row.kind, row.status, row.failure, row.group_id, row.reverses_id) == ("transfer", "pending", "", None, None)
    assert (row.debit_account_id, row.credit_account_id, row.amount, row.currency) == (payer.id, payee.id, 40, "EUR")
    assert (row.reference, row.metadata, row.beneficiary) == ("rent", {"order": "7"}, {"name": "Ada"})
    assert row.initiator_id == owner(payer).principal_id
    assert before <= row.created_at <= timezone.now()
    assert (row.approved_at, row.failed_at, row.cleared_at, row.expires_at) == (None, None, None, None)
    assert returned.created_at == row.created_at
    item = WorkItem.objects.get(unit_id=row.id)
    assert (item.stage, item.attempts, item.last_error, item.lease_token) == ("screening", 0, "", None)
    assert log_of(row.id) == [("transaction", "", "pending", owner(payer).principal_id, "", "a-request")]


def test_a_refused_transaction_is_written_with_its_reason_and_its_time(payer: Account, payee: Account) -> None:
    returned = money.transfer(payer, payee, 1_001).transactions[0]
    row = Transaction.objects.get(id=returned.id)
    assert (row.status, row.failure, row.failed_at) == ("failed", "insufficient_funds", row.created_at)
    assert (returned.status, returned.failure) == ("failed", "insufficient_funds")
    assert not WorkItem.objects.filter(unit_id=row.id).exists()
    assert [change[2:5] for change in log_of(row.id)] == [
        ("failed", owner(payer).principal_id, "insufficient_funds"),
    ]


def test_the_last_cent_can_be_spent(payer: Account, payee: Account) -> None:
    assert money.transfer(payer, payee, 400).outcome == "created"
    assert money.transfer(payer, payee, 601).outcome == "refused"
    assert money.transfer(payer, payee, 600).outcome == "created"
    assert money.balances(payer) == (1_000, 0)


def test_a_replay_gives_what_the_first_request_made_and_nothing_else(payer: Account, payee: Account) -> None:
    legs = [money.leg("transfer", payer, payee, amount) for amount in (1, 2)]
    first = money.post(*legs, actor=owner(payer), key="k")
    money.transfer(payer, payee, 5, key="another")
    again = money.post(*legs, actor=owner(payer), key="k")
    assert again.outcome == "replayed"
    assert [row.id for row in again.transactions] == [row.id for row in first.transactions]
    assert [row.group_id for row in again.transactions] == [unit_of(first)] * 2
    assert money.balances(payer) == (1_000, 992)


def test_a_key_belongs_to_one_principal_and_one_operation(payer: Account, payee: Account) -> None:
    money.fund(payee, 50)
    one = money.transfer(payer, payee, 1, key="k")
    other = money.transfer(payee, payer, 2, key="k")
    assert (one.outcome, other.outcome) == ("created", "created")
    with pytest.raises(IdempotencyKeyReused):
        posting.post_pending(
            actor=owner(payer),
            legs=[money.leg("transfer", payer, payee, 1)],
            key="k",
            operation="another",
            request_hash=money.HASH,
            request_id="",
        )


def test_a_cleared_transaction_its_entries_and_its_log(payer: Account, payee: Account) -> None:
    posted = money.transfer(payer, payee, 40)
    money.approve(posted)
    payee.refresh_from_db()
    posting.clear(limit=10, actor=system_actor(), request_id="a-batch")
    row = Transaction.objects.get(id=unit_of(posted))
    assert row.status == "cleared"
    entries = Entry.objects.filter(transaction=row).order_by("direction")
    assert [(e.direction, e.account_id, e.amount, e.balance_after, e.sequence, e.created_at) for e in entries] == [
        ("credit", payee.id, 40, 40, 1, row.cleared_at),
        ("debit", payer.id, 40, 960, 2, row.cleared_at),
    ]
    payer.refresh_from_db()
    assert (payer.reserved, payer.last_sequence) == (0, 2)
    assert not WorkItem.objects.exists()
    assert log_of(row.id)[-1] == ("transaction", "pending", "cleared", system_actor().principal_id, "", "a-batch")


def test_a_failed_transaction_and_its_log(payer: Account, payee: Account) -> None:
    kept, posted = money.transfer(payer, payee, 7), money.transfer(payer, payee, 40)
    before = timezone.now()
    assert fail([unit_of(posted)]) == {unit_of(posted)}
    row = Transaction.objects.get(id=unit_of(posted))
    assert (row.status, row.failure) == ("failed", "cancelled")
    assert row.failed_at is not None
    assert before <= row.failed_at <= timezone.now()
    assert log_of(row.id)[-1] == (
        "transaction",
        "pending",
        "failed",
        system_actor().principal_id,
        "why",
        "a-request",
    )
    assert list(WorkItem.objects.values_list("unit_id", flat=True)) == [unit_of(kept)]
    assert money.balances(payer) == (1_000, 993)
    assert fail([unit_of(posted)]) == set()


def test_what_goes_over_a_bank_is_asked_for_once_and_called_off_with_its_log(payer: Account) -> None:
    out, into = withdrawal(payer), deposit(payer)
    for each in (out, into):
        money.approve(each)
    rows = {row.direction: row for row in RailTransfer.objects.all()}
    for direction, posted in (("payout", out), ("collection", into)):
        rail = rows[direction]
        assert (rail.transaction_id, rail.key, rail.status) == (unit_of(posted), f"wallet-{unit_of(posted)}", "queued")
        assert (rail.attempts, rail.bank_reference, rail.reason, rail.answers) == (0, "", "", [])
        assert rail.next_at is not None
        initiator = owner(payer).principal_id
        assert log_of(rail.id, machine="railtransfer")[-1] == ("railtransfer", "", "queued", initiator, "", "")
        item = WorkItem.objects.get(unit_id=unit_of(posted))
        assert (item.stage, item.next_at) == ("settling", None)
    assert fail([unit_of(out)]) == {unit_of(out)}
    off, left = RailTransfer.objects.get(transaction=unit_of(out)), RailTransfer.objects.get(transaction=unit_of(into))
    assert (off.status, off.next_at, off.lease_token) == ("cancelled", None, None)
    assert off.ended_at is not None
    assert log_of(off.id, machine="railtransfer")[-1][:5] == (
        "railtransfer",
        "queued",
        "cancelled",
        system_actor().principal_id,
        "why",
    )
    assert (left.status, left.ended_at) == ("queued", None)


@pytest.mark.parametrize(("status", "ends"), [("submitted", False), ("confirmed", False), ("queued", True)])
def test_a_withdrawal_ends_by_us_only_before_the_bank_has_it(payer: Account, status: str, ends: bool) -> None:
    unit = unit_of(posted := withdrawal(payer))
    money.approve(posted)
    RailTransfer.objects.update(status=status)
    assert (fail([unit]) == {unit}) is ends


def test_a_collected_deposit_ends_only_when_the_wallet_itself_has_booked_its_money(payer: Account) -> None:
    unit = unit_of(posted := deposit(payer, 10))
    money.approve(posted)
    RailTransfer.objects.update(status="confirmed")
    booked = money.leg("exchange", money.system(), money.system(purpose="suspense"), 10)
    money.post(
        money.leg("transfer", payer, money.new_account(), 1), actor=owner(payer), key=f"bank-payment-wallet-{unit}"
    )
    money.post(booked, key="bank-payment-of-another")
    assert fail([unit]) == set(), "a customer's key of that name says nothing"
    money.post(replace(booked, id=uuid7()), key=f"bank-payment-wallet-{unit}")
    assert fail([unit]) == {unit}


def test_only_what_is_screened_or_reviewed_is_approved_and_once(payer: Account, payee: Account) -> None:
    parked, reviewed, screened = (unit_of(money.transfer(payer, payee, 1)) for _ in range(3))
    with transaction.atomic():
        posting.park([parked], "why")
        assert posting.hold_for_review([reviewed, parked]) == {reviewed}
        assert posting.approve([parked, reviewed, screened]) == {reviewed, screened}
    first = Transaction.objects.get(id=screened).approved_at
    with transaction.atomic():
        assert posting.approve([screened]) == set()
        assert posting.hold_for_review([screened]) == set()
        assert posting.resume([screened]) == set()
    assert Transaction.objects.get(id=screened).approved_at == first
    assert Transaction.objects.get(id=parked).approved_at is None
    assert [stage(unit) for unit in (parked, reviewed, screened)] == ["parked", "clearing", "clearing"]


def test_moving_to_another_stage_ends_the_lease_and_the_count_of_attempts(payer: Account, payee: Account) -> None:
    for move in (posting.approve, posting.hold_for_review):
        unit = unit_of(money.transfer(payer, payee, 1))
        claimed = posting.claim("screening", limit=1, lease=LEASE)
        assert [(each.unit_id, each.attempts) for each in claimed] == [(unit, 1)]
        with transaction.atomic():
            assert move([unit], [claimed[0].token]) == {unit}
        item = WorkItem.objects.get(unit_id=unit)
        assert (item.lease_token, item.attempts, item.last_error) == (None, 0, "")
        assert (item.next_at is None) is (item.stage == "review")


def test_what_is_set_aside_says_why_and_waits_for_nobody(payer: Account, payee: Account) -> None:
    hold = replace(money.leg("transfer", payer, payee, 1), expires_in=3_600)
    unit, other = (
        unit_of(money.post(leg, actor=owner(payer))) for leg in (hold, money.leg("transfer", payer, payee, 1))
    )
    posting.claim("screening", limit=2, lease=LEASE)
    with transaction.atomic():
        assert posting.park([unit], "x" * 501) == {unit}
    item = WorkItem.objects.get(unit_id=unit)
    assert (item.stage, item.next_at, item.lease_token, item.last_error) == ("parked", None, None, "x" * 500)
    assert stage(other) == "screening"
    with transaction.atomic():
        assert posting.resume([unit, other]) == {unit}
    item = WorkItem.objects.get(unit_id=unit)
    assert (item.stage, item.attempts, item.last_error, item.lease_token) == ("screening", 0, "", None)
    assert item.next_at is not None
    assert item.next_at <= timezone.now(), "what is not approved is screened at once, a hold too"


@pytest.mark.parametrize(
    ("status", "resumed"),
    [("queued", "settling"), ("submitted", "settling"), ("confirmed", "clearing"), ("rejected", "clearing")],
)
def test_a_unit_of_a_bank_goes_on_where_the_bank_stands(payer: Account, status: str, resumed: str) -> None:
    unit = unit_of(posted := withdrawal(payer))
    money.approve(posted)
    with transaction.atomic():
        posting.park([unit], "why")
    if status == "rejected":
        RailTransfer.objects.update(status="submitted")
    RailTransfer.objects.update(status=status)
    with transaction.atomic():
        assert posting.resume([unit]) == {unit}
    item = WorkItem.objects.get(unit_id=unit)
    assert (item.stage, item.next_at is None) == (resumed, resumed == "settling")


def test_a_claim_takes_what_is_due_of_its_stage_and_no_more(payer: Account, payee: Account) -> None:
    due = [unit_of(money.transfer(payer, payee, 1)) for _ in range(3)]
    later, reviewed = (unit_of(money.transfer(payer, payee, 1)) for _ in range(2))
    with transaction.atomic():
        posting.hold_for_review([reviewed])
        taken = {each.unit_id for each in posting.claim("screening", limit=2, lease=LEASE)}
    assert taken < {*due, later}
    assert len(taken) == 2
    rest = {each.unit_id for each in posting.claim("screening", limit=10, lease=LEASE)}
    assert rest == {*due, later} - taken
    assert posting.claim("review", limit=10, lease=LEASE) == []
    leased = WorkItem.objects.get(unit_id=due[0])
    assert leased.next_at is not None
    assert timezone.now() + LEASE / 2 < leased.next_at <= timezone.now() + LEASE


def test_clearing_takes_what_is_named_or_due_and_no_more(payer: Account, payee: Account, owner_connection: Any) -> None:
    one, two, later = (money.transfer(payer, payee, 1) for _ in range(3))
    for each in (one, two, later):
        money.approve(each)
    owner_connection.execute(
        "UPDATE ledger_workitem SET next_at = now() + interval '1 h' WHERE unit_id = %s", [unit_of(later)]
    )
    assert posting.clear(limit=5, actor=system_actor(), request_id="", only=[unit_of(two), unit_of(later)]) == [
        (unit_of(two), "cleared")
    ]
    assert money.clear() == {unit_of(one): "cleared"}
    assert money.clear() == {}


def test_expiring_takes_what_is_named_or_over_and_no_more(
    payer: Account, payee: Account, owner_connection: psycopg.Connection
) -> None:
    holds = [
        money.post(replace(money.leg("transfer", payer, payee, 1), expires_in=3_600), actor=owner(payer))
        for _ in range(3)
    ]
    one, two, later = (unit_of(each) for each in holds)
    owner_connection.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER transaction_is_immutable")
    owner_connection.execute("UPDATE ledger_transaction SET expires_at = now() WHERE id = ANY (%s)", [[one, two]])
    money.transfer(payer, payee, 5)
    expire = partial(posting.expire, limit=9, actor=system_actor(), request_id="")
    assert expire(only=[two, later]) == [two]
    assert expire() == [one]
    assert expire() == []
    assert [Transaction.objects.get(id=unit).failure for unit in (one, two, later)] == ["expired", "expired", ""]


def test_an_account_of_the_wallet_s_own_is_never_too_frozen_to_pay(payer: Account, owner_connection: Any) -> None:
    posted = money.post(money.leg("exchange", money.system(), payer, 5))
    money.approve(posted)
    owner_connection.execute("UPDATE accounts_account SET status = 'frozen' WHERE kind = 'system'")
    assert money.clear() == {unit_of(posted): "cleared"}


def test_neither_asking_for_a_deposit_nor_failing_it_waits_for_the_wallet_s_own_account(
    payer: Account, owner_connection: psycopg.Connection
) -> None:
    with owner_connection.transaction():
        owner_connection.execute("SELECT FROM accounts_account WHERE kind = 'system' FOR NO KEY UPDATE")
        unit = unit_of(deposit(payer))
        assert fail([unit]) == {unit}


def test_an_account_that_is_not_there_is_said_before_one_that_is_not_open(payer: Account) -> None:
    payer.freeze()
    payer.save()
    with pytest.raises(AccountNotFound) as refused:
        money.post(money.leg("transfer", payer, uuid7(), 1), actor=owner(payer))
    assert refused.value.facts["side"] == "credit"


def test_a_frozen_payer_and_a_closed_payee_is_frozen_first(payer: Account, payee: Account) -> None:
    frozen, closed = money.transfer(payer, payee, 5), money.transfer(money.new_account(9), payee, 5)
    fine = money.transfer(money.new_account(9), money.new_account(), 5)
    for each in (frozen, closed, fine):
        money.approve(each)
    payer.freeze()
    payer.save()
    payee.close()
    payee.save()
    assert money.clear() == {unit_of(frozen): "frozen", unit_of(closed): "closed", unit_of(fine): "cleared"}


def test_a_deposit_or_withdrawal_that_the_bank_has_not_confirmed_never_clears(
    payer: Account, owner_connection: Any
) -> None:
    for posted in (withdrawal(payer), deposit(payer)):
        money.approve(posted)
        owner_connection.execute(
            "UPDATE ledger_workitem SET stage = 'clearing', next_at = now() WHERE unit_id = %s", [unit_of(posted)]
        )
        with pytest.raises(Exception, match="without the bank"):
            money.clear()
        RailTransfer.objects.update(status="confirmed")
        assert money.clear() == {unit_of(posted): "cleared"}
    assert money.balances(payer) == (1_000, 1_000)


def test_a_group_goes_on_when_the_bank_has_spoken_of_each_of_its_payouts(payer: Account) -> None:
    legs = [money.leg("withdrawal", payer, money.system(), amount) for amount in (10, 20)]
    posted = money.post(*legs, actor=owner(payer))
    unit = unit_of(posted)
    money.approve(posted)
    for confirmed, resumed in zip(legs, ("settling", "clearing"), strict=True):
        RailTransfer.objects.filter(transaction_id=confirmed.id).update(status="confirmed")
        with transaction.atomic():
            assert posting.resume([unit]) == {unit}
        assert stage(unit) == resumed
    assert money.clear() == {unit: "cleared"}
    assert money.balances(payer) == (970, 970)


def test_a_group_of_holds_is_over_with_the_first_of_them(payer: Account, payee: Account) -> None:
    legs = [replace(money.leg("transfer", payer, payee, 1), expires_in=seconds) for seconds in (7_200, 3_600)]
    posted = money.post(*legs, actor=owner(payer))
    money.approve(posted)
    first = min(row.expires_at for row in posted.transactions if row.expires_at)
    assert WorkItem.objects.get(unit_id=unit_of(posted)).next_at == first
    with transaction.atomic():
        posting.park([unit_of(posted)], "why")
        posting.resume([unit_of(posted)])
    assert WorkItem.objects.get(unit_id=unit_of(posted)).next_at == first
