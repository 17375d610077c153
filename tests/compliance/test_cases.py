"""What people decide, what comes of it, and who may not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Account, User
from accounts.models import StateChange as AccountsChange
from accounts.services.customers import update_profile
from accounts.staff import PermissionMissing, ReasonRequired
from compliance.models import Case, CaseNote, Decision, KycCheck, StateChange
from compliance.selectors import case_file, case_queue, needs_second_person, possible_verdicts
from compliance.services import kyc
from compliance.services.case_queue import close_ended_cases, open_cases, tend_queue
from compliance.services.cases import (
    AboutYourself,
    CaseElsewhere,
    CaseNotFound,
    NotYourCase,
    SecondPersonNeeded,
    VerdictNotPossible,
    add_note,
    confirm_case,
    decide_case,
    put_back,
    take_case,
)
from compliance.services.screening import screen_due
from ledger import steps as ledger
from ledger.models import Escalation, Transaction, WorkItem
from ledger.services.clearing import clear_due
from ledger.services.payments import cancel
from tests.compliance.people import account_states, applicant, at_once, case_of, check_of, path_of, staff, user_of
from tests.ledger.flows import balances, deposit, owner, transfer
from tests.support import money
from tests.support.factories import PROFILE, actor_of, make_account
from wallet_project.sandbox.embedding import RunningSandbox
from wallet_project.utils.context import Actor
from wallet_project.utils.ids import uuid7

pytestmark = pytest.mark.django_db
EURO = 100
FUNDS = 200_000 * EURO


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def payer(db: None) -> Account:
    return make_account(funded=FUNDS)


@pytest.fixture
def payee(db: None) -> Account:
    return make_account()


def held(payer: Account, payee: Account, amount: int = 12_000 * EURO) -> tuple[Any, Case]:
    made = transfer(payer, payee, amount)
    screen_due(now=now())
    return made, Case.objects.get(screening__transaction=made.id)


def taken(case: Case, officer: Actor) -> Case:
    return take_case(case_id=case.id, actor=officer)


def decide(case: Case, officer: Actor, verdict: str = "approve", reason: str = "invoice seen") -> Case:
    return decide_case(case_id=case.id, actor=officer, verdict=verdict, reason=reason, now=now())


def confirm(case: Case, senior: Actor, *, agree: bool = True, reason: str = "agreed") -> Case:
    return confirm_case(case_id=case.id, actor=senior, agree=agree, reason=reason, now=now())


def tx(made: Any) -> Transaction:
    return Transaction.objects.get(id=made.id)


# --- Money


def test_an_officers_approval_lets_the_money_go(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    decide(case, officer)
    case.refresh_from_db()
    assert (case.status, case.assignee) == ("resolved", user_of(officer))
    assert (case.screening.status, case.screening.decided_by) == ("approved", "officer")
    assert path_of(case.id, StateChange) == ["open", "in_progress", "resolved"]
    assert balances(payer) == (FUNDS, FUNDS - 12_000 * EURO)
    clear_due()
    assert tx(made).status == "cleared"
    assert balances(payer) == (FUNDS - 12_000 * EURO, FUNDS - 12_000 * EURO)
    assert balances(payee) == (12_000 * EURO, 12_000 * EURO)


def test_an_officers_rejection_releases_the_funds_and_tells_no_rule(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    decide(case, officer, "reject", "looks like a mule account")
    assert (tx(made).status, tx(made).failure) == ("failed", "not_permitted")
    assert balances(payer) == (FUNDS, FUNDS)
    assert balances(payee) == (0, 0)
    assert (case_row(case).screening.status, case_row(case).screening.reason) == (
        "rejected",
        "looks like a mule account",
    )
    assert not WorkItem.objects.exists()


def case_row(case: Case) -> Case:
    return Case.objects.select_related("screening").get(id=case.id)


def test_an_approved_deposit_goes_to_the_bank(payer: Account) -> None:
    made = deposit(payer, 12_000 * EURO)
    screen_due(now=now())
    officer = staff()
    case = Case.objects.get()
    taken(case, officer)
    decide(case, officer)
    assert tx(made).rail_transfer.status == "queued"


def test_a_transaction_cancelled_meanwhile_closes_its_case_with_a_note(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    cancel(actor=owner(payer), transaction_id=made.id)
    decide(case, officer)
    case = case_row(case)
    assert (case.status, case.screening.status, case.screening.decided_by) == ("resolved", "rejected", "system")
    last = StateChange.objects.filter(subject_id=case.id).latest("id")
    assert last.reason == "Without effect, the transaction had ended before: invoice seen"
    assert tx(made).failure == "cancelled"
    assert balances(payer) == (FUNDS, FUNDS)


def test_the_queue_closes_what_was_cancelled_by_itself(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    _, other = held(payer, payee)
    cancel(actor=owner(payer), transaction_id=made.id)
    assert close_ended_cases(now=now()) == 1
    assert close_ended_cases(now=now()) == 0
    assert (case_row(case).status, case_row(case).screening.status) == ("resolved", "rejected")
    assert case_row(other).status == "open"


def test_cancelling_and_approving_at_once_has_one_winner(payer: Account, payee: Account) -> None:
    officer = staff()
    for _ in range(4):
        made, case = held(payer, payee, 10_000 * EURO)
        taken(case, officer)
        at_once(
            lambda made=made: cancel(actor=owner(payer), transaction_id=made.id),
            lambda case=case: decide(case, officer),
        )
        assert case_row(case).status == "resolved"
        approved = case_row(case).screening.status == "approved"
        assert (tx(made).status, approved) in (("failed", False), ("pending", True), ("failed", True))
        # An approved transfer that nobody has cleared yet may still be called off; nothing else may have happened.
        assert (tx(made).approved_at is not None) == approved
    clear_due()
    payer.refresh_from_db()
    assert payer.reserved == 0


def test_each_transaction_of_a_group_has_its_case_and_the_last_approval_lets_it_go(
    payer: Account, payee: Account
) -> None:
    legs = [money.leg("transfer", payer, payee, 12_000 * EURO) for _ in range(2)]
    made = money.post(*legs, actor=owner(payer)).transactions
    screen_due(now=now())
    officer = staff()
    first, second = Case.objects.order_by("id")
    for case in (first, second):
        taken(case, officer)
    decide(first, officer)
    assert WorkItem.objects.get().stage == "review"
    decide(second, officer)
    assert WorkItem.objects.get().stage == "clearing"
    assert {tx(leg).approved_at is not None for leg in made} == {True}


def test_two_officers_on_a_group_at_once_never_leave_it_stuck(payer: Account, payee: Account) -> None:
    officers = [staff(), staff()]
    for _ in range(3):
        legs = [money.leg("transfer", payer, payee, 10_000 * EURO) for _ in range(2)]
        made = money.post(*legs, actor=owner(payer)).transactions
        screen_due(now=now())
        cases = list(Case.objects.filter(screening__transaction__group_id=made[0].group_id).order_by("id"))
        for case, officer in zip(cases, officers, strict=True):
            taken(case, officer)
        results = at_once(*[lambda c=c, o=o: decide(c, o) for c, o in zip(cases, officers, strict=True)])
        assert all(isinstance(result, Case) for result in results), results
        assert WorkItem.objects.get(unit_id=made[0].group_id).stage == "clearing"


def test_rejecting_one_transaction_of_a_group_ends_all_and_their_cases(payer: Account, payee: Account) -> None:
    legs = [money.leg("transfer", payer, payee, 12_000 * EURO) for _ in range(2)]
    made = money.post(*legs, actor=owner(payer)).transactions
    screen_due(now=now())
    officer = staff()
    case = Case.objects.earliest("id")
    taken(case, officer)
    decide(case, officer, "reject")
    assert {tx(leg).status for leg in made} == {"failed"}
    assert set(Case.objects.values_list("status", "screening__status")) == {("resolved", "rejected")}
    assert balances(payer) == (FUNDS, FUNDS)


# --- Identity


def reviewed(document: str = "SBX-REVIEW") -> Any:
    customer = applicant(document, accounts=2)
    kyc.run_checks(now=now())
    return customer


@pytest.mark.parametrize(
    ("verdict", "identity", "accounts"), [("approve", "verified", "open"), ("reject", "rejected", "rejected")]
)
def test_an_officer_decides_an_identity(sandbox: RunningSandbox, verdict: str, identity: str, accounts: str) -> None:
    customer = reviewed()
    officer = staff()
    case = case_of(customer)
    taken(case, officer)
    decide(case, officer, verdict, "compared with the passport")
    customer.refresh_from_db()
    assert customer.kyc_status == identity
    assert account_states(customer) == [accounts, accounts]
    check = check_of(customer)
    assert (check.decided_by, check.reason) == ("officer", "compared with the passport")
    logged = AccountsChange.objects.filter(subject_id=customer.id).latest("id")
    assert (logged.actor_id, logged.reason) == (officer.principal_id, "compared with the passport")
    assert "passport" not in customer.kyc_reason


def test_an_officer_lets_the_provider_be_asked_again(sandbox: RunningSandbox) -> None:
    customer = applicant()
    kyc.start_due_checks(now=now())
    KycCheck.objects.update(attempts=8)
    kyc.run_due_checks(now=now())
    officer = staff()
    case = case_of(customer)
    taken(case, officer)
    decide(case, officer, "retry", "the provider is back")
    kyc.run_checks(now=now())
    customer.refresh_from_db()
    assert customer.kyc_status == "verified"
    assert KycCheck.objects.filter(customer=customer).count() == 2


def test_an_approval_of_an_older_profile_verifies_nobody(sandbox: RunningSandbox) -> None:
    customer = reviewed()
    officer = staff()
    case = case_of(customer)
    taken(case, officer)
    update_profile(actor=actor_of(customer), profile=replace(PROFILE, document_number="SBX-REVIEW 2"), now=now())
    decide(case, officer)
    customer.refresh_from_db()
    assert (customer.kyc_status, account_states(customer)) == ("pending", ["requested", "requested"])
    kyc.run_checks(now=now())
    assert case_of(customer).id != case.id


def test_an_officer_who_is_the_customer_may_not_take_the_case(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officer = staff()
    user = user_of(officer)
    assert payer.customer is not None
    as_customer = payer.customer.user
    as_customer.is_staff = True
    as_customer.save()
    as_customer.groups.set(user.groups.all())
    with pytest.raises(AboutYourself):
        taken(case, owner(payer))


# --- Escalations


def escalated(payer: Account, payee: Account) -> tuple[Any, Escalation]:
    made = transfer(payer, payee, 1)
    with transaction.atomic():
        ledger.park([made.id], error="a test")
        escalation = ledger.escalate(
            kind="poisoned_unit",
            subject_type="unit",
            subject_id=made.id,
            transaction_id=made.id,
            details={"error": "posting_refused: it does not add up"},
        )
    return made, escalation


def test_each_escalation_gets_one_case_also_with_ten_at_once(payer: Account, payee: Account) -> None:
    escalations = [escalated(payer, payee)[1] for _ in range(5)]
    results = at_once(*[lambda: open_cases(now=now()) for _ in range(10)])
    assert sum(results) == 5, results
    assert {case.escalation_id for case in Case.objects.all()} == {row.id for row in escalations}
    case = Case.objects.earliest("id")
    assert (case.customer_id, case.priority) == (payer.customer_id, "high")
    assert case.reason == "This transaction can't be posted. It does not add up"
    assert StateChange.objects.filter(machine="case").count() == 5


def test_an_officer_resolves_an_escalation(payer: Account, payee: Account) -> None:
    again, _ = escalated(payer, payee)
    over, _ = escalated(payer, payee)
    open_cases(now=now())
    officer = staff()
    for made, verdict in ((again, "retry"), (over, "fail")):
        case = Case.objects.get(escalation__transaction=made.id)
        taken(case, officer)
        decide(case, officer, verdict)
        assert Case.objects.get(id=case.id).status == "resolved"
    assert set(Escalation.objects.values_list("status", flat=True)) == {"resolved"}
    assert WorkItem.objects.get().unit_id == again.id
    assert tx(over).status == "failed"
    screen_due(now=now())
    clear_due()
    assert tx(again).status == "cleared"
    assert balances(payer) == (FUNDS - 1, FUNDS - 1)


def test_what_the_ledger_refuses_leaves_the_case_as_it_was(payer: Account, payee: Account) -> None:
    escalated(payer, payee)
    open_cases(now=now())
    officer = staff()
    case = Case.objects.get()
    taken(case, officer)
    with pytest.raises(ledger.StillWaiting):
        decide(case, officer, "acknowledge")
    assert (case_row(case).status, Decision.objects.count()) == ("in_progress", 0)


def test_an_escalation_resolved_elsewhere_closes_its_case(payer: Account, payee: Account) -> None:
    _, first = escalated(payer, payee)
    _, second = escalated(payer, payee)
    open_cases(now=now())
    officer = staff()
    case = Case.objects.get(escalation=second)
    taken(case, officer)
    for row in (first, second):
        with transaction.atomic():
            ledger.resolve_escalation(
                escalation_id=row.id, action="retry", actor=officer, reason="by command", now=now()
            )
    decide(case, officer, "fail")
    tend_queue(now=now())
    assert set(Case.objects.values_list("status", flat=True)) == {"resolved"}
    assert WorkItem.objects.count() == 2


# --- Four eyes


def test_a_large_amount_needs_a_second_person(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer, senior = staff(), staff("Senior officer")
    taken(case, officer)
    assert needs_second_person(case, "approve")
    assert not needs_second_person(case, "reject")
    decide(case, officer, reason="contract seen")
    assert case_row(case).status == "awaiting_approval"
    assert tx(made).approved_at is None
    confirm(case, senior, reason="seen it too")
    assert case_row(case).status == "resolved"
    assert tx(made).approved_at is not None
    proposal, agreement = Decision.objects.order_by("id")
    assert (proposal.verdict, proposal.maker, proposal.checker) == ("approve", user_of(officer), None)
    assert (agreement.maker, agreement.checker, agreement.agreed) == (user_of(officer), user_of(senior), True)


def test_an_urgent_case_needs_a_second_person_whatever_the_amount(payer: Account, payee: Account) -> None:
    for _ in range(3):
        made = transfer(payer, payee, 2_400 * EURO)
    screen_due(now=now())
    case = Case.objects.get()
    officer = staff("Senior officer")
    taken(case, officer)
    decide(case, officer)
    assert case_row(case).status == "awaiting_approval"
    assert tx(made).approved_at is None


def test_the_limit_is_a_setting(payer: Account, payee: Account, settings: Any) -> None:
    settings.FOUR_EYES_FROM = {"EUR": 12_000 * EURO}
    _, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    assert decide(case, officer).status == "awaiting_approval"


def test_stopping_money_needs_nobody_else(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer = staff()
    taken(case, officer)
    decide(case, officer, "reject")
    assert tx(made).status == "failed"


def test_whoever_decided_cannot_confirm_it(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    senior = staff("Senior officer")
    taken(case, senior)
    decide(case, senior)
    with pytest.raises(SecondPersonNeeded):
        confirm(case, senior)
    assert tx(made).approved_at is None


def test_the_database_too_wants_two_persons(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee, 50_000 * EURO)
    senior = user_of(staff("Senior officer"))
    with pytest.raises(IntegrityError, match="decision_checker_is_not_the_maker"):
        Decision.objects.create(
            case=case, verdict="approve", reason="me and myself", maker=senior, checker=senior, agreed=True
        )
    with pytest.raises(IntegrityError, match="decision_checker_answers"):
        Decision.objects.create(case=case, verdict="approve", reason="hm", maker=user_of(staff()), checker=senior)


def test_the_second_person_may_send_it_back(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer, senior = staff(), staff("Senior officer")
    taken(case, officer)
    decide(case, officer)
    confirm(case, senior, agree=False, reason="where is the contract?")
    assert (case_row(case).status, case_row(case).assignee_id) == ("in_progress", user_of(officer).id)
    assert Decision.objects.latest("id").agreed is False
    decide(case, officer, reason="here it is")
    confirm(case, senior)
    assert tx(made).approved_at is not None
    assert path_of(case.id, StateChange) == [
        "open", "in_progress", "awaiting_approval", "in_progress", "awaiting_approval", "resolved",
    ]  # fmt: skip


def test_a_transaction_cancelled_before_the_second_persons_word(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer, senior = staff(), staff("Senior officer")
    taken(case, officer)
    decide(case, officer)
    cancel(actor=owner(payer), transaction_id=made.id)
    confirm(case, senior)
    assert (case_row(case).status, case_row(case).screening.status) == ("resolved", "rejected")
    assert tx(made).failure == "cancelled"


def test_nothing_is_proposed_about_what_has_ended(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer = staff()
    taken(case, officer)
    cancel(actor=owner(payer), transaction_id=made.id)
    assert decide(case, officer).status == "resolved"


def test_two_second_persons_at_once_carry_it_out_once(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee, 50_000 * EURO)
    officer, seniors = staff(), [staff("Senior officer") for _ in range(4)]
    taken(case, officer)
    decide(case, officer)
    results = at_once(*[lambda senior=senior: confirm(case, senior) for senior in seniors])
    assert sum(isinstance(result, Case) for result in results) == 1
    assert sum(isinstance(result, CaseElsewhere) for result in results) == 3
    assert Decision.objects.count() == 2
    assert tx(made).approved_at is not None


# --- Whose case it is


def test_one_of_many_officers_gets_the_case(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officers = [staff() for _ in range(6)]
    results = at_once(*[lambda officer=officer: taken(case, officer) for officer in officers])
    assert sum(isinstance(result, Case) for result in results) == 1
    assert sum(isinstance(result, CaseElsewhere) for result in results) == 5


def test_two_decisions_at_once_have_one_winner(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    results = at_once(lambda: decide(case, officer, "approve"), lambda: decide(case, officer, "reject"))
    assert sorted(type(result).__name__ for result in results) == ["Case", "CaseElsewhere"]
    assert Decision.objects.count() == 1
    approved = Decision.objects.get().verdict == "approve"
    assert (tx(made).approved_at is not None, tx(made).status) == (approved, "pending" if approved else "failed")


def test_only_its_officer_decides_a_case_and_only_when_it_was_taken(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officer, other = staff(), staff()
    with pytest.raises(CaseElsewhere):
        decide(case, officer)
    taken(case, officer)
    with pytest.raises(NotYourCase):
        decide(case, other)
    with pytest.raises(CaseElsewhere):
        confirm(case, staff("Senior officer"))
    with pytest.raises(CaseNotFound):
        take_case(case_id=uuid7(), actor=officer)


def test_a_case_is_put_back_by_its_officer_or_a_senior(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officer, other = staff(), staff()
    taken(case, officer)
    with pytest.raises(NotYourCase):
        put_back(case_id=case.id, actor=other)
    put_back(case_id=case.id, actor=officer, reason="end of my shift")
    assert (case_row(case).status, case_row(case).assignee_id) == ("open", None)
    taken(case, other)
    put_back(case_id=case.id, actor=staff("Senior officer"), reason="is ill")
    assert case_row(case).status == "open"


@pytest.mark.parametrize("role", ["Auditor", "Administrator"])
def test_who_only_looks_decides_nothing(payer: Account, payee: Account, role: str) -> None:
    _, case = held(payer, payee)
    looker, officer = staff(role), staff()
    with pytest.raises(PermissionMissing):
        taken(case, looker)
    with pytest.raises(PermissionMissing):
        add_note(case_id=case.id, actor=looker, text="hello")
    taken(case, officer)
    with pytest.raises(PermissionMissing):
        decide(case, looker)
    with pytest.raises(PermissionMissing):
        confirm(case, officer)


def test_a_permission_taken_away_meanwhile_is_gone(payer: Account, payee: Account) -> None:
    made, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    User.objects.filter(id=user_of(officer).id).update(is_active=False)
    with pytest.raises(PermissionMissing):
        decide(case, officer)
    assert tx(made).approved_at is None


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_no_decision_without_a_reason(payer: Account, payee: Account, reason: str) -> None:
    _, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    with pytest.raises(ReasonRequired):
        decide(case, officer, reason=reason)
    with pytest.raises(ReasonRequired):
        add_note(case_id=case.id, actor=officer, text=reason)


@pytest.mark.parametrize("verdict", ["retry", "fail", "acknowledge", "review", ""])
def test_only_verdicts_that_fit_the_subject(payer: Account, payee: Account, verdict: str) -> None:
    _, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    with pytest.raises(VerdictNotPossible):
        decide(case, officer, verdict)


# --- Why it is here


def test_the_case_file_says_why_it_is_here_and_what_was_done(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    add_note(case_id=case.id, actor=officer, text="asked for the invoice")
    decide(case, officer)
    file = case_file(case.id)
    assert file is not None
    assert [finding["rule"] for finding in file.findings] == ["single_amount", "new_account", "first_payment"]
    assert file.facts["amount"] == 12_000 * EURO
    assert [note.text for note in file.notes] == ["asked for the invoice"]
    assert [decision.reason for decision in file.decisions] == ["invoice seen"]
    history = [(line.what, line.to_state) for line in file.history]
    assert history[0] == ("transaction", "pending")
    assert set(history[1:]) >= {("screening", "in_review"), ("case", "open"), ("case", "resolved")}
    assert user_of(officer).email in {line.who for line in file.history}
    assert case_file(uuid7()) is None


def test_the_queue_shows_what_is_due_first(payer: Account, payee: Account) -> None:
    _, normal = held(payer, payee)
    _, urgent = held(payer, payee, 60_000 * EURO)
    _, done = held(payer, payee)
    officer = staff()
    taken(done, officer)
    decide(done, officer, "reject")
    assert list(case_queue()) == [urgent, normal]
    assert possible_verdicts(normal) == ("approve", "reject")


def test_notes_and_decisions_stay(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    officer = staff()
    taken(case, officer)
    add_note(case_id=case.id, actor=officer, text="as it was")
    decide(case, officer)
    for row in (CaseNote.objects.get(), Decision.objects.get(), StateChange.objects.filter(machine="case").first()):
        table = type(row)._meta.db_table  # type: ignore[union-attr]
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET id = id"):
            with pytest.raises(Exception, match="permission denied"), connection.cursor() as cursor:
                cursor.execute(statement)


def test_a_case_has_a_due_time(payer: Account, payee: Account) -> None:
    _, case = held(payer, payee)
    assert timedelta(hours=23) < case.due_at - now() <= timedelta(hours=24)
