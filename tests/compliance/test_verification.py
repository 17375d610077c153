"""What `verify_ledger` finds in compliance when something is stuck, and that it finds nothing when all goes well."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import Account
from compliance import selectors
from compliance.models import Case, KycCheck, RuleVersion
from compliance.services import kyc
from compliance.services.backtests import ask_for_backtest
from compliance.services.case_queue import tend_queue
from compliance.services.cases import decide_case, take_case
from compliance.services.screening import screen_due
from compliance.verification import checks
from ledger.services.clearing import clear_due
from ledger.services.payments import cancel
from tests.compliance.people import applicant, staff
from tests.compliance.test_cases import escalated
from tests.ledger.flows import owner, transfer
from tests.support import money
from tests.support.factories import make_account
from wallet_project.sandbox.embedding import RunningSandbox

pytestmark = pytest.mark.django_db
EURO = 100


def now() -> datetime:
    return datetime.now(UTC)


def problems() -> list[str]:
    """Of what is stuck (I6); breaking it by hand breaks the log as well."""
    [check] = [check for check in checks() if check.name == "I6"]
    check.before()
    check.read()
    return sorted({row["problem"] for row in check.result().offending})


@pytest.fixture
def payer(db: None) -> Account:
    return make_account(funded=100_000 * EURO)


@pytest.fixture
def payee(db: None) -> Account:
    return make_account()


@pytest.fixture
def without_guards(owner_connection: Any) -> Any:
    """What only a superuser with the triggers off could do to the rows."""
    for table in ("compliance_case", "compliance_screening", "compliance_kyccheck", "accounts_customer"):
        owner_connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return owner_connection


def test_all_is_well_at_every_step_of_a_reviewed_transfer(payer: Account, payee: Account) -> None:
    transfer(payer, payee, 12_000 * EURO)
    cancelled = transfer(payer, payee, 12_000 * EURO)
    transfer(payer, payee, 1)
    assert problems() == []
    screen_due(now=now())
    cancel(actor=owner(payer), transaction_id=cancelled.id)
    assert problems() == []
    tend_queue(now=now())
    assert problems() == []
    officer = staff()
    case = Case.objects.get(status="open")
    take_case(case_id=case.id, actor=officer)
    decide_case(case_id=case.id, actor=officer, verdict="approve", reason="seen", now=now())
    clear_due()
    assert problems() == []


def test_the_figures_count_what_waits(payer: Account, payee: Account) -> None:
    transfer(payer, payee, 12_000 * EURO)
    screen_due(now=now())
    [check] = [check for check in checks() if check.name == "I6"]
    check.read()
    assert check.result().figures == {
        "units_in_review": 1,
        "open_cases": 1,
        "active_checks": 0,
        "open_escalations": 0,
    }
    assert check.result().name == "I6"


def test_money_held_without_a_case_is_found(payer: Account, payee: Account, without_guards: Any) -> None:
    transfer(payer, payee, 12_000 * EURO)
    screen_due(now=now())
    without_guards.execute("UPDATE compliance_case SET status = 'resolved'")
    assert problems() == ["held for review without an open case"]


def test_a_case_about_money_that_has_long_ended_is_found(payer: Account, payee: Account, owner_connection: Any) -> None:
    made = transfer(payer, payee, 12_000 * EURO)
    screen_due(now=now())
    cancel(actor=owner(payer), transaction_id=made.id)
    owner_connection.execute("ALTER TABLE ledger_statechange DISABLE TRIGGER USER")
    owner_connection.execute("UPDATE ledger_statechange SET at = at - interval '11 minutes'")
    assert problems() == ["an open case about money that no longer waits for it"]


def test_a_check_that_nothing_moves_on_is_found(sandbox: RunningSandbox, without_guards: Any) -> None:
    customer = applicant("SBX-REVIEW")
    kyc.start_due_checks(now=now())
    assert problems() == []
    for late in ("NULL", "now() - interval '11 minutes'"):
        without_guards.execute(f"UPDATE compliance_kyccheck SET next_at = {late}")
        assert problems() == ["an identity check that nothing will move on"]
    KycCheck.objects.update(next_at=now() - timedelta(seconds=1))
    kyc.run_checks(now=now())
    assert problems() == []
    without_guards.execute("UPDATE compliance_case SET status = 'resolved'")
    assert problems() == ["an identity check that nothing will move on"]
    assert customer.kyc_status == "pending"


def test_a_customer_who_waits_for_nothing_is_found(sandbox: RunningSandbox, owner_connection: Any) -> None:
    applicant()
    assert problems() == []
    owner_connection.execute("ALTER TABLE accounts_statechange DISABLE TRIGGER USER")
    owner_connection.execute("UPDATE accounts_statechange SET at = at - interval '11 minutes'")
    assert problems() == ["a customer who waits for a check that nobody makes"]
    kyc.start_due_checks(now=now())
    assert problems() == []


def test_money_that_was_approved_without_screening_is_found(payer: Account, payee: Account) -> None:
    money.approve(money.transfer(payer, payee, 1))
    assert problems() == ["approved money of a customer without an approved screening"]


def test_an_escalation_that_nobody_was_told_of_is_found(payer: Account, payee: Account, owner_connection: Any) -> None:
    escalated(payer, payee)
    assert problems() == []
    owner_connection.execute("UPDATE ledger_escalation SET created_at = now() - interval '11 minutes'")
    assert problems() == ["an escalation without an open case"]
    tend_queue(now=now())
    assert problems() == []


def test_a_message_that_nobody_looked_at_is_found(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO compliance_inboundevent (event_id, kind, payload, next_at, attempts, last_error) "
            "VALUES ('e', 'k', '{}', now() - interval '11 minutes', 0, '')"
        )
    assert problems() == ["an identity provider's message that nobody has looked at"]


def test_the_gauges_count_cases_and_lateness(payer: Account, payee: Account, sandbox: RunningSandbox) -> None:
    transfer(payer, payee, 12_000 * EURO)
    screen_due(now=now() - timedelta(days=2))
    applicant()
    kyc.start_due_checks(now=now() - timedelta(seconds=90))
    assert dict(selectors.waiting_cases())[("open",)] == 1
    assert selectors.overdue_cases() == [((), 1.0)]
    ages = dict(selectors.oldest_waiting_seconds())
    assert ages[("identity_check",)] > 89
    assert ages[("identity_event",)] == 0


def test_rules_that_workers_do_not_go_by_and_backtests_that_nobody_runs_are_found(owner_connection: Any) -> None:
    assert problems() == []
    version = RuleVersion.objects.get(rule__name="many_debits")
    ask_for_backtest(actor=staff(), version_id=version.id, since=now() - timedelta(days=1), until=now())
    assert problems() == []
    owner_connection.execute("UPDATE compliance_backtest SET next_at = now() - interval '7 hours'")
    owner_connection.execute("ALTER TABLE compliance_ruleversion DISABLE TRIGGER USER")
    owner_connection.execute("UPDATE compliance_ruleversion SET status = 'retired' WHERE id = %s", [version.id])
    assert problems() == ["a backtest that nobody runs", "the newest set of rules is not what is active and in shadow"]
