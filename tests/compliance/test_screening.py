"""Screening: what becomes of a unit, and what survives of it when workers die, race and fail."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, transaction

from accounts.models import Account, Customer
from accounts.services.accounts import freeze_account
from compliance import facts
from compliance.models import Case, Screening, StateChange
from compliance.services import screening
from compliance.services.case_queue import tend_queue
from compliance.services.screening import screen_due
from compliance.steps import log_changes
from ledger import steps as ledger
from ledger.models import Escalation, Transaction, WorkItem
from ledger.services.payments import cancel
from tests.compliance.people import at_once, path_of, staff
from tests.ledger.flows import balances, deposit, owner, transfer, withdraw
from tests.support import money
from tests.support.factories import make_account
from wallet_project.utils.context import system_actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db
EURO = 100


def now() -> datetime:
    return datetime.now(UTC)


def stage_of(unit: UUID) -> str | None:
    return WorkItem.objects.filter(unit_id=unit).values_list("stage", flat=True).first()


def screening_of(made: Any) -> Screening:
    return Screening.objects.get(transaction=made.id)


def expire_leases(connection_: Any) -> None:
    """What happens when a minute passes."""
    connection_.execute("UPDATE ledger_workitem SET next_at = now() WHERE next_at IS NOT NULL")


@pytest.fixture
def payer(db: None) -> Account:
    return make_account(funded=2_000_000 * EURO)


@pytest.fixture
def payee(db: None) -> Account:
    return make_account()


def test_an_everyday_transfer_is_approved_and_goes_to_clearing(payer: Account, payee: Account) -> None:
    made = transfer(payer, payee, 20 * EURO)
    assert screen_due(now=now()) == 1
    row = screening_of(made)
    assert (row.status, row.decided_by, row.findings) == ("approved", "rules", [])
    assert row.facts["amount"] == 20 * EURO
    assert row.facts["outgoing"] is True
    assert path_of(row.id, StateChange) == ["approved"]
    assert stage_of(made.id) == "clearing"
    assert Transaction.objects.get(id=made.id).approved_at is not None
    assert not Case.objects.exists()


def test_deposits_and_withdrawals_go_to_the_bank_only_once_approved(payer: Account) -> None:
    paid_in, paid_out = deposit(payer, 20 * EURO), withdraw(payer, 20 * EURO)
    assert screen_due(now=now()) == 2
    for made in (paid_in, paid_out):
        assert stage_of(made.id) == "settling"
        assert Transaction.objects.get(id=made.id).rail_transfer.status == "queued"


def test_a_large_transfer_waits_for_an_officer_with_its_funds_reserved(payer: Account, payee: Account) -> None:
    made = transfer(payer, payee, 12_000 * EURO)
    at = now()
    screen_due(now=at)
    row, case = screening_of(made), Case.objects.get()
    assert (row.status, row.decided_by, row.decided_at) == ("in_review", "", None)
    assert [finding["rule"] for finding in row.findings] == ["single_amount", "new_account", "first_payment"]
    assert (case.screening_id, case.customer_id, case.status) == (row.id, payer.customer_id, "open")
    assert (case.priority, case.due_at) == ("normal", at + timedelta(hours=24))
    assert case.reason.startswith("A single amount of 12,000.00 EUR; reviewed from 10,000.00 EUR.")
    assert path_of(case.id, StateChange) == ["open"]
    assert stage_of(made.id) == "review"
    assert balances(payer) == (2_000_000 * EURO, 1_988_000 * EURO)
    assert screen_due(now=now()) == 0


def test_a_large_deposit_waits_too_and_its_case_is_the_receivers(payer: Account) -> None:
    made = deposit(payer, 10_000 * EURO)
    screen_due(now=now())
    assert Case.objects.get().customer_id == payer.customer_id
    assert screening_of(made).facts["outgoing"] is False


def test_the_first_large_withdrawal_to_a_bank_account_is_looked_at_and_the_next_is_not(payer: Account) -> None:
    first = withdraw(payer, 2_500 * EURO)
    screen_due(now=now())
    assert [finding["rule"] for finding in screening_of(first).findings] == ["beneficiary_first_use"]
    assert screening_of(first).facts["beneficiary_first_use"] is True
    with transaction.atomic():
        ledger.approve([Transaction.objects.get(id=first.id).unit_id])
    second = withdraw(payer, 2_500 * EURO)
    screen_due(now=now())
    assert (screening_of(second).status, screening_of(second).findings) == ("approved", [])
    assert screening_of(second).facts["beneficiary_first_use"] is False


def test_a_small_withdrawal_to_a_new_bank_account_goes_on_and_the_fact_is_on_record(payer: Account) -> None:
    made = withdraw(payer, 20 * EURO)
    screen_due(now=now())
    assert screening_of(made).status == "approved"
    assert screening_of(made).facts["beneficiary_first_use"] is True


def test_fees_are_no_debits_of_their_own(payer: Account, payee: Account, settings: Any) -> None:
    settings.FEES = {"transfer": {"EUR": [{"from": 1, "flat": 10}]}}
    for _ in range(3):
        transfer(payer, payee, 20 * EURO)
    screen_due(now=now())
    last = transfer(payer, payee, 20 * EURO)
    screen_due(now=now())
    assert screening_of(last).facts["debits_1h"] == 3
    assert screening_of(last).facts["out_24h"] == 60 * EURO


@pytest.mark.parametrize(("amount", "priority", "hours"), [(49_999, "normal", 24), (50_000, "high", 4)])
def test_a_very_large_amount_is_urgent(payer: Account, payee: Account, amount: int, priority: str, hours: int) -> None:
    transfer(payer, payee, amount * EURO)
    at = now()
    screen_due(now=at)
    assert (Case.objects.get().priority, Case.objects.get().due_at) == (priority, at + timedelta(hours=hours))


def test_structuring_is_urgent_and_found_across_the_customers_accounts(payer: Account, payee: Account) -> None:
    other = make_account(payer.customer, funded=5_000 * EURO)
    for source in (payer, other, payer):
        transfer(source, payee, 2_400 * EURO)
    screen_due(now=now())
    case = Case.objects.get()
    assert case.priority == "high"
    assert [finding["rule"] for finding in case.screening.findings] == ["structuring"]


def test_more_than_a_hundred_debits_in_an_hour_are_looked_at(payer: Account, payee: Account) -> None:
    made = [transfer(payer, payee, 1) for _ in range(102)]
    assert screen_due(now=now()) == 102
    held = set(Screening.objects.filter(status="in_review").values_list("transaction_id", flat=True))
    assert held == {made[100].id, made[101].id}


def test_an_amount_at_the_ceiling_is_rejected_and_its_funds_are_released(payer: Account, payee: Account) -> None:
    made = transfer(payer, payee, 1_000_000 * EURO)
    assert balances(payer) == (2_000_000 * EURO, 1_000_000 * EURO)
    screen_due(now=now())
    row = Transaction.objects.get(id=made.id)
    assert (row.status, row.failure, row.approved_at) == ("failed", "not_permitted", None)
    assert screening_of(made).status == "rejected"
    assert balances(payer) == (2_000_000 * EURO, 2_000_000 * EURO)
    assert stage_of(made.id) is None
    assert not Case.objects.exists()


def test_a_customer_whose_identity_was_rejected_can_send_nothing(payer: Account, payee: Account) -> None:
    for status in ("pending", "rejected"):
        Customer.objects.filter(id=payer.customer_id).update(kyc_status=status)
    made = transfer(payer, payee, 1)
    screen_due(now=now())
    assert Transaction.objects.get(id=made.id).failure == "not_permitted"
    assert [finding["rule"] for finding in screening_of(made).findings] == ["identity_rejected"]


def test_the_limits_of_settings_hold(payer: Account, payee: Account, settings: Any) -> None:
    settings.SCREENING_LIMITS = {"EUR": {"single_amount": 5}}
    made = transfer(payer, payee, 5)
    screen_due(now=now())
    assert screening_of(made).status == "in_review"


def group(*legs: tuple[Account, Account, int]) -> list[Transaction]:
    made = [money.leg("transfer", debit, credit, amount) for debit, credit, amount in legs]
    return money.post(*made, actor=owner(legs[0][0])).transactions


def test_the_worst_transaction_of_a_group_decides_for_all(payer: Account, payee: Account) -> None:
    small, large = group((payer, payee, 1), (payer, payee, 12_000 * EURO))
    screen_due(now=now())
    assert stage_of(small.group_id) == "review"
    assert (screening_of(small).status, screening_of(large).status) == ("approved", "in_review")
    assert Case.objects.get().screening_id == screening_of(large).id
    assert not Transaction.objects.filter(group_id=small.group_id, approved_at__isnull=False).exists()


def test_one_rejected_transaction_fails_its_group(payer: Account, payee: Account) -> None:
    small, middle, huge = group((payer, payee, 1), (payer, payee, 12_000 * EURO), (payer, payee, 1_000_000 * EURO))
    screen_due(now=now())
    rows = Transaction.objects.filter(group_id=small.group_id)
    assert {row.status for row in rows} == {"failed"}
    assert {screening_of(row).status for row in (small, middle, huge)} == {"rejected"}
    assert not Case.objects.exists()
    assert balances(payer) == (2_000_000 * EURO, 2_000_000 * EURO)


def test_a_full_batch_asks_for_the_next_one(payer: Account, payee: Account, nudges: list[str]) -> None:
    for _ in range(3):
        transfer(payer, payee, 1)
    screen_due(now=now(), limit=2)
    assert Screening.objects.count() == 2
    assert "compliance.screen_due" in nudges
    assert screen_due(now=now(), limit=2) == 1


def test_a_worker_that_dies_after_its_claim_loses_the_lease_and_another_decides(
    payer: Account, payee: Account, owner_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = transfer(payer, payee, 20 * EURO)

    def dies(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(screening, "facts_of", dies)
        with pytest.raises(SystemExit):
            screen_due(now=now())
    assert not Screening.objects.exists()
    assert screen_due(now=now()) == 0
    expire_leases(owner_connection)
    assert screen_due(now=now()) == 1
    assert (screening_of(made).status, screening_of(made).attempts) == ("approved", 2)
    assert path_of(screening_of(made).id, StateChange) == ["approved"]


def test_a_log_of_nothing_asks_nothing(django_assert_num_queries: Any) -> None:
    with transaction.atomic(), django_assert_num_queries(0):
        log_changes("case", [], actor=system_actor())


def test_a_decision_made_after_the_lease_was_lost_does_nothing(
    payer: Account, payee: Account, owner_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = transfer(payer, payee, 12_000 * EURO)
    real = facts.facts_of

    def overtaken(*arguments: Any) -> Any:
        found = real(*arguments)
        monkeypatch.setattr(screening, "facts_of", real)
        expire_leases(owner_connection)
        at_once(lambda: screen_due(now=now()))
        return found

    monkeypatch.setattr(screening, "facts_of", overtaken)
    screen_due(now=now())
    assert Case.objects.count() == 1
    assert path_of(screening_of(made).id, StateChange) == ["in_review"]


def test_a_payer_who_cancels_while_it_is_screened_ends_it(
    payer: Account, payee: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = transfer(payer, payee, 12_000 * EURO)
    real = facts.facts_of

    def cancelled_meanwhile(*arguments: Any) -> Any:
        found = real(*arguments)
        at_once(lambda: cancel(actor=owner(payer), transaction_id=made.id))
        return found

    monkeypatch.setattr(screening, "facts_of", cancelled_meanwhile)
    screen_due(now=now())
    assert Transaction.objects.get(id=made.id).failure == "cancelled"
    assert not Case.objects.exists()
    assert not Screening.objects.exists()
    assert balances(payer) == (2_000_000 * EURO, 2_000_000 * EURO)


def test_workers_at_once_decide_each_transaction_once(payer: Account, payee: Account) -> None:
    # The small ones go to somebody else: a payee who got an approved payment meanwhile would no longer be new.
    small_payee = make_account()
    made = [transfer(payer, *((payee, 2_500 * EURO) if n % 3 == 0 else (small_payee, 1))) for n in range(30)]
    results = at_once(*[lambda: screen_due(now=now(), limit=4) for _ in range(10)])
    assert sum(results) == 30, results
    assert Screening.objects.count() == 30
    assert Case.objects.count() == 10
    logged = StateChange.objects.filter(machine="screening")
    assert logged.count() == 30
    assert {stage_of(each.id) for each in made} == {"clearing", "review"}


def test_one_unit_that_cannot_be_judged_stops_no_other(
    payer: Account, payee: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [transfer(payer, payee, amount) for amount in (1, 2, 13, 4, 5)]
    real = screening.decide

    def trips(found: Any, *others: Any) -> Any:
        if found["amount"] == 13:
            raise ZeroDivisionError("a fault in what decides")
        return real(found, *others)

    monkeypatch.setattr(screening, "decide", trips)
    assert screen_due(now=now()) == 5
    assert [stage_of(each.id) for each in made] == ["clearing", "clearing", "parked", "clearing", "clearing"]
    escalation = Escalation.objects.get()
    assert (escalation.kind, escalation.transaction_id) == ("poisoned_unit", made[2].id)
    assert escalation.details["error"] == "screening failed: ZeroDivisionError"
    tend_queue(now=now())
    assert Case.objects.get().escalation_id == escalation.id

    monkeypatch.setattr(screening, "decide", real)
    with transaction.atomic():
        ledger.resolve_escalation(
            escalation_id=escalation.id, action="retry", actor=staff(), reason="the fault is mended", now=now()
        )
    screen_due(now=now())
    assert stage_of(made[2].id) == "clearing"
    assert screening_of(made[2]).attempts == 1


def test_a_poisoned_group_is_escalated_as_one(payer: Account, payee: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    legs = group((payer, payee, 1), (payer, payee, 2))

    def trips(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(screening, "decide", trips)
    screen_due(now=now())
    escalation = Escalation.objects.get()
    assert escalation.subject_id == str(legs[0].group_id)
    assert escalation.transaction_id == legs[0].id
    assert stage_of(legs[0].group_id) == "parked"


def test_a_unit_that_somebody_holds_is_left_for_later_and_not_escalated(
    payer: Account, payee: Account, owner_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database says `busy`: nothing is wrong with the unit, and none with those beside it."""
    held, free = transfer(payer, payee, 1), transfer(payer, payee, 2)
    real = facts.facts_of

    def held_meanwhile(*arguments: Any) -> Any:
        owner_connection.execute("SELECT FROM ledger_workitem WHERE unit_id = %s FOR UPDATE", [held.id])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        return real(*arguments)

    monkeypatch.setattr(screening, "facts_of", held_meanwhile)
    with owner_connection.transaction():
        assert screen_due(now=now()) == 2
    assert (stage_of(held.id), stage_of(free.id)) == ("screening", "clearing")
    assert not Escalation.objects.exists()
    monkeypatch.setattr(screening, "facts_of", real)
    expire_leases(owner_connection)
    screen_due(now=now())
    assert stage_of(held.id) == "clearing"


def test_a_unit_that_was_taken_up_too_often_is_given_to_a_person(
    payer: Account, payee: Account, owner_connection: Any
) -> None:
    made = transfer(payer, payee, 1)
    owner_connection.execute("UPDATE ledger_workitem SET attempts = 8")
    screen_due(now=now())
    assert stage_of(made.id) == "parked"
    assert Escalation.objects.get().details["error"] == "not decided in 8 tries"


def test_a_frozen_account_is_none_of_screenings_business(payer: Account, payee: Account) -> None:
    made = transfer(payer, payee, 1)
    freeze_account(account_id=payer.id, actor=staff(), reason="asked by the police")
    screen_due(now=now())
    assert stage_of(made.id) == "clearing"


def test_nothing_is_due_costs_nothing(db: None, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(3):
        assert screen_due(now=now()) == 0


def test_a_batch_of_any_size_takes_a_fixed_number_of_queries(
    payer: Account, payee: Account, django_assert_max_num_queries: Any
) -> None:
    for _ in range(50):
        transfer(payer, payee, 12_000 * EURO)
    with django_assert_max_num_queries(25):
        assert screen_due(now=now()) == 50


def test_a_row_of_another_unit_is_not_touched(payer: Account, payee: Account) -> None:
    """A lease on nothing decides nothing."""
    made = transfer(payer, payee, 1)
    claimed = [ledger.Claimed(unit_id=made.id, token=uuid7(), attempts=1)]
    screening._commit(claimed, screening._judge(claimed), now=now())
    assert stage_of(made.id) == "screening"
    assert not Screening.objects.exists()
