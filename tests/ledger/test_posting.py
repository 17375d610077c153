"""The database functions that move money, each through its typed Python caller."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from accounts.idempotency import IdempotencyKeyReused
from accounts.selectors import AccountNotFound
from ledger import posting, steps
from ledger.models import Entry, RailTransfer, StateChange, Transaction, WorkItem
from tests.support import money
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db


def test_a_transfer_reserves_at_once_and_moves_when_it_clears() -> None:
    source, destination = money.new_account(1000), money.new_account()
    posted = money.transfer(source, destination, 300)
    assert posted.outcome == "created"
    assert (money.balances(source), money.balances(destination)) == ((1000, 700), (0, 0))
    money.approve(posted)
    assert money.clear() == {posted.transactions[0].id: "cleared"}
    assert (money.balances(source), money.balances(destination)) == ((700, 700), (300, 300))


def test_a_request_is_one_round_trip(django_assert_num_queries: Any) -> None:
    source, destination = money.new_account(1000), money.new_account()
    actor = money.actor_of(source.customer)
    wanted = money.leg("transfer", source, destination, 1)
    with django_assert_num_queries(1):
        money.post(wanted, actor=actor)


def test_a_request_reads_no_account_but_its_own_however_many_there_are(owner_connection: psycopg.Connection) -> None:
    source, destination = money.new_account(1000), money.new_account()
    owner_connection.execute(
        "INSERT INTO accounts_account (id, kind, purpose, customer_id, currency, label, status, status_reason, "
        "cleared, reserved, last_sequence) "
        "SELECT gen_random_uuid(), kind, purpose, customer_id, currency, '', 'requested', '', 0, 0, 0 "
        "FROM accounts_account, generate_series(1, 2000) WHERE id = %s",
        [destination.id],
    )
    owner_connection.execute("ANALYZE accounts_account")
    with transaction.atomic(), connection.cursor() as cursor:
        read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'accounts_account'"
        cursor.execute(read)
        before = cursor.fetchone()
        money.transfer(source, destination, 1)
        cursor.execute(read)
        assert cursor.fetchone() == before


def test_entries_carry_the_running_balance_and_a_number_without_gap() -> None:
    source, destination = money.new_account(1000), money.new_account()
    for amount in (100, 200, 300):
        money.approve(money.transfer(source, destination, amount))
    money.clear()
    lines = Entry.objects.filter(account=source).order_by("sequence")
    assert [(e.direction, e.amount, e.balance_after, e.sequence) for e in lines] == [
        ("credit", 1000, 1000, 1),
        ("debit", 100, 900, 2),
        ("debit", 200, 700, 3),
        ("debit", 300, 400, 4),
    ]
    assert list(
        Entry.objects.filter(account=destination).order_by("sequence").values_list("balance_after", flat=True)
    ) == [
        100,
        300,
        600,
    ]


def test_too_little_money_is_recorded_as_failed_and_reserves_nothing() -> None:
    source, destination = money.new_account(100), money.new_account()
    posted = money.transfer(source, destination, 101)
    assert (posted.outcome, posted.transactions[0].failure) == ("refused", "insufficient_funds")
    assert Transaction.objects.get(id=posted.transactions[0].id).status == "failed"
    assert money.balances(source) == (100, 100)
    assert not WorkItem.objects.exists()


def test_reserved_money_cannot_be_spent_twice() -> None:
    source, destination = money.new_account(100), money.new_account()
    assert money.transfer(source, destination, 60).outcome == "created"
    assert money.transfer(source, destination, 60).outcome == "refused"


def test_pending_credits_fund_nothing() -> None:
    source, middle, last = money.new_account(100), money.new_account(), money.new_account()
    money.transfer(source, middle, 100)
    assert money.transfer(middle, last, 1).outcome == "refused"


def test_failing_releases_what_was_reserved() -> None:
    source, destination = money.new_account(100), money.new_account()
    posted = money.transfer(source, destination, 60)
    unit = posted.transactions[0].id
    with transaction.atomic():
        assert steps.fail([unit], code="cancelled", actor=system_actor(), reason="a test") == {unit}
        assert steps.fail([unit], code="cancelled", actor=system_actor(), reason="again") == set()
    assert money.balances(source) == (100, 100)
    assert not WorkItem.objects.exists()
    log = StateChange.objects.filter(subject_id=unit).values_list("from_state", "to_state", "reason", "request_id")
    assert list(log) == [("", "pending", "", "a-request"), ("pending", "failed", "a test", "")]


def test_the_same_key_replays_and_another_request_under_it_is_refused() -> None:
    source, destination = money.new_account(100), money.new_account()
    first = money.transfer(source, destination, 60, key="k")
    again = money.transfer(source, destination, 60, key="k")
    assert (again.outcome, again.transactions[0].id) == ("replayed", first.transactions[0].id)
    with pytest.raises(IdempotencyKeyReused):
        money.post(
            money.leg("transfer", source, destination, 61),
            actor=money.actor_of(source.customer),
            key="k",
            hashed=b"\x01" * 32,
        )
    assert money.balances(source) == (100, 40)


def test_a_refused_request_uses_its_key_up() -> None:
    source, destination = money.new_account(50), money.new_account()
    refused = money.transfer(source, destination, 60, key="k")
    money.fund(source, 100)
    again = money.transfer(source, destination, 60, key="k")
    assert (again.outcome, again.transactions[0].failure) == ("replayed", "insufficient_funds")
    assert again.transactions[0].id == refused.transactions[0].id


def test_a_request_that_makes_no_sense_leaves_no_trace_and_its_key_free() -> None:
    source, destination = money.new_account(50), money.new_account()
    actor = money.actor_of(source.customer)
    with pytest.raises(AccountNotFound) as not_found:
        money.post(money.leg("transfer", source, uuid4(), 1), actor=actor, key="k")
    assert not_found.value.facts["side"] == "credit"
    with pytest.raises(posting.CurrencyMismatch):
        money.post(money.leg("transfer", source, destination, 1, "USD"), actor=actor, key="k")
    assert money.transfer(source, destination, 1, key="k").outcome == "created"


def test_only_the_owner_of_the_money_can_ask_for_it() -> None:
    source, destination = money.new_account(50), money.new_account()
    stranger = money.actor_of(destination.customer)
    with pytest.raises(AccountNotFound) as refused:
        money.post(money.leg("transfer", source, destination, 1), actor=stranger)
    assert refused.value.facts["side"] == "debit"
    with pytest.raises(AccountNotFound):
        money.post(money.leg("deposit", money.system(), source, 1), actor=stranger)


def test_money_leaves_an_open_account_only_and_reaches_a_frozen_one() -> None:
    source, destination = money.new_account(50), money.new_account(50)
    source.freeze()
    source.save()
    with pytest.raises(posting.AccountNotOpen) as refused:
        money.transfer(source, destination, 1)
    assert refused.value.facts["side"] == "debit"
    assert money.transfer(destination, source, 1).outcome == "created"
    destination.close()
    destination.save()
    with pytest.raises(posting.AccountNotOpen) as refused:
        money.post(money.leg("adjustment", money.system(), destination, 1))
    assert refused.value.facts["side"] == "credit"


def test_a_group_is_accepted_all_or_none() -> None:
    source, one, two = money.new_account(100), money.new_account(), money.new_account()
    actor = money.actor_of(source.customer)
    refused = money.post(
        money.leg("transfer", source, one, 60), money.leg("transfer", source, two, 60), actor=actor, key="g"
    )
    assert [t.status for t in refused.transactions] == ["failed", "failed"]
    posted = money.post(money.leg("transfer", source, one, 60), money.leg("transfer", source, two, 40), actor=actor)
    assert money.balances(source) == (100, 0)
    unit = posted.transactions[0].group_id
    assert unit is not None
    money.approve(posted)
    assert money.clear() == {unit: "cleared"}
    assert [money.balances(a) for a in (source, one, two)] == [(0, 0), (60, 60), (40, 40)]


def test_a_group_with_one_bad_account_is_cleared_not_at_all() -> None:
    source, one, two = money.new_account(100), money.new_account(), money.new_account()
    posted = money.post(
        money.leg("transfer", source, one, 60),
        money.leg("transfer", source, two, 40),
        actor=money.actor_of(source.customer),
    )
    money.approve(posted)
    two.close()
    two.save()
    assert money.clear() == {posted.transactions[0].group_id: "closed"}
    assert [money.balances(a) for a in (source, one, two)] == [(100, 0), (0, 0), (0, 0)]


def test_a_frozen_payer_is_not_debited_and_a_withdrawal_that_the_bank_paid_is() -> None:
    source, destination = money.new_account(100), money.new_account()
    held = money.transfer(source, destination, 10)
    withdrawn = money.post(
        money.leg("withdrawal", source, money.system(), 20), actor=money.actor_of(source.customer)
    ).transactions[0]
    money.approve(held)
    with transaction.atomic():
        steps.approve([withdrawn.id])
    RailTransfer.objects.filter(transaction=withdrawn).update(status="confirmed")
    with transaction.atomic():
        posting.resume([withdrawn.id])
    source.freeze()
    source.save()
    assert money.clear() == {held.transactions[0].id: "frozen", withdrawn.id: "cleared"}
    assert money.balances(source) == (80, 70)


def test_nothing_clears_without_approval_or_without_the_bank(owner_connection: Any) -> None:
    source = money.new_account(100)
    transfer = money.transfer(source, money.new_account(), 10)
    owner_connection.execute("UPDATE ledger_workitem SET stage = 'clearing'")
    with pytest.raises(Exception, match="without approval"):
        money.clear()
    money_out = money.post(money.leg("withdrawal", source, money.system(), 20), actor=money.actor_of(source.customer))
    money.approve(money_out)
    owner_connection.execute("DELETE FROM ledger_workitem WHERE unit_id = %s", [transfer.transactions[0].id])
    owner_connection.execute("UPDATE ledger_workitem SET stage = 'clearing', next_at = now()")
    with pytest.raises(Exception, match="without the bank"):
        money.clear()


def test_a_withdrawal_in_the_banks_hands_cannot_be_failed_by_us(owner_connection: Any) -> None:
    source = money.new_account(100)
    posted = money.post(money.leg("withdrawal", source, money.system(), 20), actor=money.actor_of(source.customer))
    unit = posted.transactions[0].id
    money.approve(posted)
    RailTransfer.objects.update(status="submitted")
    with transaction.atomic():
        assert steps.fail([unit], code="cancelled", actor=system_actor(), reason="") == set()
    with pytest.raises(Exception, match="only its word"):
        owner_connection.execute("UPDATE ledger_transaction SET status = 'failed', failure = 'x' WHERE id = %s", [unit])
    RailTransfer.objects.update(status="rejected")
    with transaction.atomic():
        assert steps.fail([unit], code="bank_rejected", actor=system_actor(), reason="") == {unit}
    assert money.balances(source) == (100, 100)


def test_failing_calls_off_what_the_bank_was_not_asked_yet() -> None:
    source = money.new_account(100)
    posted = money.post(money.leg("withdrawal", source, money.system(), 20), actor=money.actor_of(source.customer))
    money.approve(posted)
    with transaction.atomic():
        steps.fail([posted.transactions[0].id], code="cancelled", actor=system_actor(), reason="")
    assert RailTransfer.objects.get().status == "cancelled"


def test_a_lease_that_passed_to_somebody_else_decides_nothing() -> None:
    unit = money.transfer(money.new_account(100), money.new_account(), 10).transactions[0].id
    lost = posting.claim("screening", limit=10, lease=timedelta(seconds=-1))[0]
    held = posting.claim("screening", limit=10, lease=timedelta(minutes=1))[0]
    assert (lost.unit_id, held.unit_id, held.attempts) == (unit, unit, 2)
    assert posting.claim("screening", limit=10, lease=timedelta(minutes=1)) == []
    with transaction.atomic():
        assert steps.approve([unit], tokens=[lost.token]) == set()
        assert steps.fail([unit], tokens=[lost.token], code="x", actor=system_actor(), reason="") == set()
        assert steps.hold_for_review([unit], tokens=[lost.token]) == set()
        assert steps.approve([unit], tokens=[held.token]) == {unit}


def test_a_parked_unit_goes_on_where_its_rows_say_it_stands() -> None:
    unit = money.transfer(money.new_account(100), money.new_account(), 10).transactions[0].id
    with transaction.atomic():
        assert steps.park([unit], error="why") == {unit}
        assert posting.resume([unit]) == {unit}
    assert WorkItem.objects.get().stage == "screening"
    with transaction.atomic():
        steps.approve([unit])
        steps.park([unit], error="why")
        posting.resume([unit])
    assert (WorkItem.objects.get().stage, WorkItem.objects.get().last_error) == ("clearing", "")


def test_all_cleared_balances_of_a_currency_add_up_to_zero() -> None:
    source, destination = money.new_account(1000), money.new_account(5)
    money.approve(money.transfer(source, destination, 300))
    money.clear()
    assert sum(money.balances(a)[0] for a in (source, destination, money.system())) == 0


def test_escalating_twice_asks_for_a_human_once() -> None:
    subject = uuid7()
    with transaction.atomic():
        one = steps.escalate(kind="poisoned_unit", subject_type="unit", subject_id=subject)
        two = steps.escalate(kind="poisoned_unit", subject_type="unit", subject_id=subject)
    assert one.id == two.id


def test_amounts_out_of_range_are_refused_by_the_database() -> None:
    source, destination = money.new_account(100), money.new_account()
    for amount in (0, -1):
        with pytest.raises(IntegrityError):
            money.transfer(source, destination, amount)
    with pytest.raises(IntegrityError):
        money.post(money.leg("adjustment", money.system(), destination, 10**15 + 1))
    assert money.balances(source) == (100, 100)


@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
def test_what_goes_over_a_bank_has_the_wallet_itself_on_the_other_side(kind: str) -> None:
    mine, somebody_elses = money.new_account(100), money.new_account(100)
    sides = (somebody_elses, mine) if kind == "deposit" else (mine, somebody_elses)
    with pytest.raises(AccountNotFound):
        money.post(money.leg(kind, *sides, 60), actor=money.actor_of(mine.customer))
    assert money.balances(somebody_elses) == (100, 100)
